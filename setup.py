# SPDX-License-Identifier: Apache-2.0
"""pip install of the Python of hoi_ros; messages and nodes come with the colcon build (CMakeLists.txt)."""

from pathlib import Path

from setuptools import find_namespace_packages
from setuptools import setup

ROOT = Path(__file__).parent


def requirements(*purposes: str) -> list[str]:
    """The lines of requirements/<purpose>.txt."""
    lines = [
        line for purpose in purposes for line in (ROOT / 'requirements' / f'{purpose}.txt').read_text().splitlines()
    ]
    return [line for line in lines if line and not line.startswith('#')]


def shared_files(*folders: str) -> list[tuple[str, list[str]]]:
    """data_files entries that place whole folders under share/hoi_ros."""
    paths = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob('*') if path.is_file()]
    return [(f'share/hoi_ros/{path.parent}', [str(path)]) for path in paths]


setup(
    name='hoi_ros',
    version='0.1.0',
    description='Hands and the objects they handle, from RGB and depth camera topics, for ROS 2.',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=find_namespace_packages(include=['hoi_ros', 'hoi_ros.*']),
    data_files=shared_files('config', 'models'),
    install_requires=requirements('runtime'),
    extras_require={
        'demo': requirements('demo'),
        'training': requirements('demo', 'training'),
        'test': requirements('demo', 'training', 'test', 'docs'),
        'docs': requirements('docs'),
    },
)
