# SPDX-License-Identifier: Apache-2.0
# Source it (bash or zsh): a shell in which python, rclpy, hoi_ros and hoi_ros.msg work, from this tree's
# virtual environment. On a machine with its own ROS 2, source the workspace's install/setup.bash instead.

_hoi_root="$(cd "$(dirname "${BASH_SOURCE[0]:-${(%):-%x}}")" && pwd)"

# Entries of a colon-separated path that belong neither to another ROS 2 installation nor to this tree.
_hoi_foreign() {
  printf '%s\n' "$1" | tr : '\n' | grep -v -e '^/opt/ros/' -e "^$_hoi_root/" -e '^$' | paste -sd : -
}

if [ ! -x "$_hoi_root/.venv/bin/python" ] || [ ! -d "$_hoi_root/install/hoi_ros" ]; then
  echo "env.sh: $_hoi_root is not built: run 'make build' there first." >&2
else
  _hoi_venv="$_hoi_root/.venv"
  _hoi_install="$_hoi_root/install"
  _hoi_packages="$(cd "$_hoi_venv" && echo lib/python3.*/site-packages)"
  _hoi_libraries="$_hoi_venv/lib:$(echo "$_hoi_venv/$_hoi_packages"/ros_*.libs | tr ' ' :)"

  PATH="$_hoi_venv/bin:$(_hoi_foreign "$PATH")"
  PYTHONPATH="$_hoi_root"
  AMENT_PREFIX_PATH="$_hoi_venv"
  LD_LIBRARY_PATH="$_hoi_libraries:$(_hoi_foreign "${LD_LIBRARY_PATH:-}")"
  for _hoi_package in $(ls "$_hoi_root/interfaces") hoi_ros; do
    PYTHONPATH="$PYTHONPATH:$_hoi_install/$_hoi_package/$_hoi_packages"
    AMENT_PREFIX_PATH="$_hoi_install/$_hoi_package:$AMENT_PREFIX_PATH"
    LD_LIBRARY_PATH="$_hoi_install/$_hoi_package/lib:$LD_LIBRARY_PATH"
  done
  LD_LIBRARY_PATH="${LD_LIBRARY_PATH%:}"
  export PATH PYTHONPATH AMENT_PREFIX_PATH LD_LIBRARY_PATH VIRTUAL_ENV="$_hoi_venv"
  # The wheels would start Python a second time to set the library path, which is set above.
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
  export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3 RMW_IMPLEMENTATION=rmw_fastrtps_cpp
  unset _hoi_venv _hoi_install _hoi_packages _hoi_libraries _hoi_package
fi
unset -f _hoi_foreign
unset _hoi_root
