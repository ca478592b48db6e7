# SPDX-License-Identifier: Apache-2.0
"""Folders of photos of any names and sizes, without a calibration, each on its own; the reasons for unusable ones."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hoi_ros.camera.calibration import CalibrationError
from hoi_ros.hand.estimates import HandEstimate
from hoi_ros.playback.cameras import depth_scale_of
from hoi_ros.playback.replay import main
from hoi_ros.playback.replay import replay
from hoi_ros.playback.replay import ReplayConfig
from hoi_ros.playback.replay import ReplayError
from hoi_ros.stages.parts.following import HandFollowing
from hoi_ros.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / 'samples'
PHOTOS = next(system.name for system in SYSTEMS.values() if system.images == ('colour',))
DEPTH = next(system.name for system in SYSTEMS.values() if system.images == ('depth',))


class Follower(HandFollowing):
    """Stands in for a stage that tracks: it finds a hand where a picture is bright, and keeps it, less and less sure,
    for as long as nobody ends its tracks. A track knows the size of its pictures."""

    object_faces = np.array([[0, 1, 2]])

    def __init__(self):
        super().__init__(None, 2, 0.5, None)

    def __call__(self, image, camera, stamp, depth=None):
        self._begin(stamp)
        if not self._tracks:
            self._tracks = [image.shape] if image.mean() > 100 else []
            return [self.estimate(0.9)] * len(self._tracks)
        assert self._tracks == [image.shape], 'a track in a picture of another size'
        return [self.estimate(0.06)]

    def estimate(self, score):
        pose, shape = np.zeros(48, np.float32), np.zeros(10, np.float32)
        posed = self._hands['right'].forward(pose, shape, np.array([0, 0, 0.5], np.float32))
        return HandEstimate('right', 1, score, posed.keypoints, np.ones(21), pose, shape, np.zeros(3), posed.vertices)

    def warm_up(self):
        self._warmed_up()


def photos(folder, *sizes, name='{}.jpg', bright=(0,)):
    """A folder of grey pictures of these widths and heights; those of `bright` positions show a hand."""
    folder.mkdir(exist_ok=True)
    for number, (width, height) in enumerate(sizes):
        grey = 200 if number in bright else 20
        cv2.imwrite(str(folder / name.format(number)), np.full((height, width, 3), grey, np.uint8))
    return folder


def lines(folder):
    return [json.loads(line) for line in (folder / 'results.jsonl').read_text().splitlines()]


def scores(folder):
    return [[hand['score'] for hand in record['hands']] for record in lines(folder)]


def test_frames_of_a_video_are_stamped_at_its_rate(tmp_path):
    folder = photos(tmp_path / 'frames', (64, 48), (64, 48), (64, 48), name='{:06}.jpg')
    replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=tmp_path, video_rate=24.0), Follower())
    assert [line['stamp'] for line in lines(tmp_path)] == [0, 0.041667, 0.083333]
    replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=tmp_path, video_rate=24.0, rate=50), Follower())
    assert [line['stamp'] for line in lines(tmp_path)] == [0, 0.02, 0.04]


def test_photos_of_any_size_are_each_on_their_own_and_need_no_calibration(tmp_path, capsys):
    folder = photos(tmp_path / 'photos', (64, 48), (48, 64), (32, 24), (64, 48), bright=(0, 2))
    summary = replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=tmp_path), Follower())
    assert scores(tmp_path) == [[0.9], [], [0.9], []]
    assert (summary.frames, summary.unreadable, summary.with_hands, summary.independent) == (4, 0, 2, 4)
    said = capsys.readouterr().out
    assert 'every picture on its own: they are of 3 sizes, as 32x24 and 48x64 pixels' in said
    assert 'no calibration: 65 degrees across the longer side are assumed (--fov)' in said
    assert '4 (0 unreadable), 4 independent pictures' in str(summary)
    assert 'without     2: 1.jpg, 3.jpg' in str(summary) and 'may hold    0 of them something' in str(summary)
    # 65 degrees across 64 pixels, whether they lie along the width or the height.
    cameras = [record['camera'] for record in lines(tmp_path)]
    assert [camera['fx'] for camera in cameras] == pytest.approx([50.23, 50.23, 25.115, 50.23], abs=1e-2)
    assert (cameras[1]['cx'], cameras[1]['cy']) == (23.5, 31.5)


def test_names_that_are_not_numbered_alike_are_photos(tmp_path, capsys):
    folder = photos(tmp_path / 'photos', *[(64, 48)] * 3)
    (folder / '1.jpg').rename(folder / 'kitchen.jpg')
    replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=tmp_path), Follower())
    assert scores(tmp_path) == [[0.9], [], []]
    assert "every picture on its own: names such as '0' and 'kitchen' are not numbered alike" in capsys.readouterr().out


@pytest.mark.parametrize('name', ['IMG_20230{}.jpg', 'DSC0{}.JPG', 'WhatsApp Image {}.jpeg', '20230312_16442{}.jpg'])
def test_names_that_phones_and_cameras_give_are_photos(tmp_path, name):
    folder = photos(tmp_path / 'photos', *[(64, 48)] * 3, name=name)
    replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=tmp_path), Follower())
    assert scores(tmp_path) == [[0.9], [], []]


def test_frames_of_one_size_that_are_numbered_alike_are_a_sequence_unless_told_otherwise(tmp_path, capsys):
    folder = photos(tmp_path / 'frames', *[(64, 48)] * 3, name='frame_{}.png')
    config = {'rgb': folder, 'stage': PHOTOS, 'out': tmp_path}
    replay(ReplayConfig(**config), Follower())
    assert scores(tmp_path) == [[0.9], [0.06], [0.06]]
    assert 'a sequence, hands are tracked from frame to frame' in capsys.readouterr().out
    summary = replay(ReplayConfig(**config, independent=True), Follower())
    assert scores(tmp_path) == [[0.9], [], []] and summary.independent == 3
    assert 'every picture on its own: as --independent says' in capsys.readouterr().out
    # Where only the user can know: a hand of an earlier picture is not reported below min_score.
    replay(ReplayConfig(**config, independent=True, min_score=0.95), Follower())
    assert scores(tmp_path) == [[], [], []]


def test_a_sequence_whose_size_or_folder_changes_is_tracked_anew(tmp_path):
    photos(tmp_path / 'frames', (64, 48), (64, 48), (32, 24), name='frame_{}.png', bright=(0, 2))
    (tmp_path / 'frames' / 'more').mkdir()
    photos(tmp_path / 'frames' / 'more', (32, 24), name='frame_{}.png')
    replay(ReplayConfig(rgb=tmp_path / 'frames', stage=PHOTOS, out=tmp_path, sequence=True), Follower())
    assert scores(tmp_path) == [[0.9], [0.06], [0.9], [0.9]]


def test_no_photo_is_lost(tmp_path, capsys):
    folder = photos(tmp_path / 'photos', (64, 48))
    photos(folder, (64, 48), name='{}.png')
    photos(folder, (64, 48), name='other{}.webp')
    (folder / 'phone.HEIC').write_bytes(b'heic')
    summary = replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=tmp_path), Follower())
    assert (summary.frames, summary.with_hands) == (3, 3)
    assert '1 image of the format .heic cannot be read: convert to JPEG or PNG' in capsys.readouterr().out
    assert {path.name for path in (tmp_path / 'overlays').iterdir()} == {'0.jpg.png', '0.png.png', 'other0.png'}


def test_a_picture_without_a_hand_is_marked_and_overlays_of_an_earlier_run_go(tmp_path):
    out = tmp_path / 'out'
    replay(ReplayConfig(rgb=photos(tmp_path / 'a', (64, 48), (48, 64)), stage=PHOTOS, out=out), Follower())
    drawn = cv2.imread(str(out / 'overlays' / '1.png'))
    assert (drawn[:30] == 20).all() and drawn[50:].max() > 150
    (out / 'overlays' / 'mine.png').write_bytes(b'of the user')
    folder = photos(tmp_path / 'b', (64, 48), name='other{}.jpg')
    (folder / 'damaged.jpg').write_bytes((folder / 'other0.jpg').read_bytes()[:300])
    summary = replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=out), Follower())
    assert {path.name for path in (out / 'overlays').iterdir()} == {'other0.png', 'mine.png'}
    assert summary.independent == 1 and '2 (1 unreadable)' in str(summary)
    assert 'copy or save the file again' in summary.reasons[0] and 'network' not in summary.reasons[0]


def test_one_photo_is_one_picture(tmp_path, capsys, monkeypatch):
    folder = photos(tmp_path / 'photos', (64, 48))
    made = []
    monkeypatch.setattr('hoi_ros.systems.System.load_stage', lambda system, **given: made.append(given) or Follower())
    arguments = ['--stage', PHOTOS, '--out', str(tmp_path), '--models', str(tmp_path), '--rgb', str(folder / '0.jpg')]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith('one picture\n') and made[0]['models'] == tmp_path
    assert [record['image'] for record in lines(tmp_path)] == ['0.jpg']


@pytest.mark.parametrize('scale', [0.000125, 0.00025])
def test_depth_without_a_hand_is_told_its_range(tmp_path, scale):
    class Blind(Follower):
        def __call__(self, image, camera, stamp):
            return []

    folder = depth_frames(tmp_path / 'depth', np.uint16)
    config = ReplayConfig(depth=folder, fov=60, depth_scale=scale * 10, stage=DEPTH, out=tmp_path)
    text = str(replay(config, Blind()))
    assert f'the depth lies between {2000 * scale:.2f} m and' in text
    assert f'hands are detected between 0.25 m and 1.2 m; check --depth-scale ({scale * 10:g})' in text


def test_the_limits_reach_the_stage(tmp_path):
    stage = Follower()
    folder = photos(tmp_path / 'photos', (64, 48))
    replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=tmp_path, min_score=0.3, max_hands=4), stage)
    assert (stage.min_score, stage.max_hands) == (0.3, 4)


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'independent': True, 'sequence': True}, '--independent and --sequence exclude each other'),
        ({'fov': 200.0}, '--fov is 200.0'),
        ({'min_score': 2.0}, '--min-score is 2.0'),
        ({'max_hands': 9}, '--max-hands is 9'),
        ({'rgb': None, 'depth': Path('x'), 'depth_scale': 0.001, 'stage': DEPTH}, '--depth comes without --camera'),
    ],
)
def test_bad_arguments_are_refused_by_name(tmp_path, changes, told):
    with pytest.raises(ReplayError, match=told):
        ReplayConfig(**{'rgb': tmp_path, 'stage': PHOTOS} | changes)


def depth_frames(folder, dtype, count=8):
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f'{number}.png'), np.full((36, 48), 200, dtype))
    return folder


CAMERA = """image_width: 640
image_height: 360
camera_name: wrong
distortion_model: plumb_bob
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 500, 180, 0, 0, 1]}
distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}
"""


@pytest.mark.parametrize(
    ('dtype', 'told'),
    [
        (np.uint8, '8 x 1 channel(s) of uint8, expected one of uint16 or float32: this is no depth image'),
        (np.uint16, '8 x wrong: the image is 48x36 pixels, the calibration 640x360, which is of another shape'),
    ],
    ids=['8-bit depth', 'wrong camera.yaml'],
)
def test_the_reason_for_unusable_frames_is_printed_once_for_all_of_a_kind(tmp_path, monkeypatch, capsys, dtype, told):
    folder = depth_frames(tmp_path / 'depth', dtype)
    (folder / 'camera.yaml').write_text(CAMERA)
    monkeypatch.setattr('hoi_ros.systems.System.load_stage', lambda system, **_: Follower())
    assert main(['--depth', str(folder), '--depth-scale', '0.001', '--stage', DEPTH, '--out', str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert said.count(told) == 1 and '(0.png, 1.png, 2.png and 5 more)' in said
    assert 'frames      8 (8 unreadable)' in said
    assert all(record['error'] for record in lines(tmp_path))


@pytest.mark.parametrize(('scale', 'code'), [('1.0', 1), ('0.001', 0)])
def test_a_wrong_unit_of_depth_is_named_with_the_option_that_mends_it(tmp_path, monkeypatch, capsys, scale, code):
    monkeypatch.setattr('hoi_ros.systems.System.load_stage', lambda system, **_: Follower())
    arguments = ['--depth', str(SAMPLES / 'depth'), '--stage', DEPTH, '--out', str(tmp_path)]
    assert main([*arguments, '--depth-scale', scale]) == code
    said = capsys.readouterr().out
    assert '4 x ' in said and 'the values are not in m' in said and 'correct --depth-scale, such as 0.001 for' in said
    assert main(arguments) == 0
    assert 'the values are not in' not in capsys.readouterr().out


def test_a_folder_may_bring_its_calibration_and_its_unit(tmp_path):
    folder = depth_frames(tmp_path / 'depth', np.uint16, 1)
    with pytest.raises(ReplayError, match='without --depth-scale'):
        ReplayConfig(depth=folder, stage=DEPTH)
    (folder / 'camera.yaml').write_text(CAMERA + 'depth_scale: 0.002\n')
    config = ReplayConfig(depth=folder, stage=DEPTH)
    assert config.calibration == folder / 'camera.yaml' and config.metres_per_unit == 0.002
    assert ReplayConfig(depth=folder, stage=DEPTH, depth_scale=0.001).metres_per_unit == 0.001
    # YAML takes numbers without a point for text.
    (folder / 'camera.yaml').write_text(CAMERA + 'depth_scale: 5e-4\n')
    assert ReplayConfig(depth=folder, stage=DEPTH).metres_per_unit == 0.0005
    for scale in ('-1', '0', 'millimetres', '[1]'):
        (folder / 'camera.yaml').write_text(CAMERA + f'depth_scale: {scale}\n')
        with pytest.raises(CalibrationError, match='depth_scale is .*, expected metres of one unit'):
            depth_scale_of(folder / 'camera.yaml')


def test_a_depth_image_among_photos_is_named(tmp_path, capsys):
    folder = photos(tmp_path / 'photos', (64, 48))
    cv2.imwrite(str(folder / 'depth.png'), np.full((48, 64), 900, np.uint16))
    summary = replay(ReplayConfig(rgb=folder, stage=PHOTOS, out=tmp_path), Follower())
    assert summary.reasons == [
        f'1 x 16-bit greys, expected colours: this is a depth image; for depth images give --stage {DEPTH} (depth.png)'
    ]


def test_the_samples_are_small_and_every_one_is_attributed():
    files = [path for path in SAMPLES.rglob('*') if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000
    attributed = (SAMPLES / 'LICENSES.md').read_text()
    assert len(list((SAMPLES / 'photos').iterdir())) == 8 and len(list((SAMPLES / 'depth').glob('*.png'))) == 4
    assert all(f'`photos/{path.name}`' in attributed for path in (SAMPLES / 'photos').iterdir())
    assert '`depth/*.png`' in attributed and 'samples/LICENSES.md' in (ROOT / 'NOTICE').read_text()


@pytest.mark.slow
def test_the_sample_photos_through_the_real_stage(tmp_path, capsys):
    assert main(['--rgb', str(SAMPLES / 'photos'), '--stage', PHOTOS, '--out', str(tmp_path)]) == 0
    records = lines(tmp_path)
    assert len(records) == 8 and not any('error' in record for record in records)
    assert all(score >= 0.5 for each in scores(tmp_path) for score in each) and sum(map(bool, scores(tmp_path))) >= 5
    assert 'every picture on its own' in capsys.readouterr().out


@pytest.mark.slow
def test_the_sample_depth_frames_through_the_real_stage(tmp_path):
    assert main(['--depth', str(SAMPLES / 'depth'), '--stage', DEPTH, '--out', str(tmp_path)]) == 0
    assert [Path(record['image']).name for record in lines(tmp_path)] == ['30.png', '70.png', '110.png', '150.png']
    assert all(scores(tmp_path))
