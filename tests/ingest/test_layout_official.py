"""The layouts ``ffpp`` and ``celebdf``, on small trees and on the published clips where they are at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.ingest.layout_checks import checked_scan, members, reasons, touch


class TestFfpp:
    """The official layout of FaceForensics++ and DeepFakeDetection."""

    def test_pairs_levels_and_methods_are_one_group(self, tmp_path: Path) -> None:
        for level in ("raw", "c23", "c40"):
            touch(tmp_path, *(f"original_sequences/youtube/{level}/videos/{n}.mp4" for n in ("000", "003", "007")))
            for method in ("Deepfakes", "FaceShifter"):
                folder = f"manipulated_sequences/{method}/{level}/videos"
                touch(tmp_path, f"{folder}/000_003.mp4", f"{folder}/003_000.mp4")
        touch(tmp_path, "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4")  # a companion, not footage
        touch(tmp_path, "original_sequences/youtube/c23/images/000/0001.png")
        records = checked_scan("ffpp", tmp_path)
        assert len(records) == 9 + 12
        by_group = Counter(r.source_group for r in records.values())
        assert by_group == {"youtube/000": 6 + 12, "youtube/007": 3}
        fake = records["manipulated_sequences/FaceShifter/c40/videos/003_000.mp4"]
        assert (fake.label, fake.method, fake.compression) == (1, "FaceShifter", "c40")
        assert fake.identity == "youtube/003,youtube/000"

    def test_deepfakedetection_joins_both_actors_clips_of_the_scene(self, tmp_path: Path) -> None:
        actors = "original_sequences/actors/c23/videos/"
        fakes = "manipulated_sequences/DeepFakeDetection/c23/videos/"
        touch(
            tmp_path,
            *(actors + n for n in ("01__exit_phone_room.mp4", "02__exit_phone_room.mp4", "01__kitchen_pan.mp4")),
        )
        touch(tmp_path, fakes + "01_02__exit_phone_room__0XUW13RW.mp4", "original_sequences/youtube/c23/videos/001.mp4")
        records = checked_scan("ffpp", tmp_path)
        fake = records[fakes + "01_02__exit_phone_room__0XUW13RW.mp4"]
        assert fake.source_group == "actors/01__exit_phone_room"
        assert fake.identity == "actors/01,actors/02"
        assert records[actors + "02__exit_phone_room.mp4"].source_group == fake.source_group
        assert len(members(records)) == 3
        assert (
            records[actors + "01__kitchen_pan.mp4"].identity == "actors/01"
        )  # the person recurs, the footage does not

    def test_names_that_do_not_fit(self, tmp_path: Path) -> None:
        touch(
            tmp_path,
            "original_sequences/youtube/c23/videos/000.mp4",
            "original_sequences/youtube/c23/videos/0000.mp4",
            "manipulated_sequences/Deepfakes/c23/videos/000.mp4",
            "manipulated_sequences/Deepfakes/high/videos/000_003.mp4",
            "extra/001.mp4",
        )
        why = {path: reason for path, (_, reason) in reasons(checked_scan("ffpp", tmp_path)).items()}
        assert len(why) == 4
        assert "not that of an original" in why["original_sequences/youtube/c23/videos/0000.mp4"]
        assert "not that of a manipulated video" in why["manipulated_sequences/Deepfakes/c23/videos/000.mp4"]
        assert "not in a folder" in why["manipulated_sequences/Deepfakes/high/videos/000_003.mp4"]
        assert "outside original_sequences/" in why["extra/001.mp4"]

    def test_shared_c40(self, shared_data: Path) -> None:
        records = checked_scan("ffpp", shared_data / "ffpp_c40")
        assert len(records) == 33
        assert not reasons(records)
        assert Counter(r.method for r in records.values()) == {
            "real": 9, "Deepfakes": 6, "Face2Face": 6, "FaceSwap": 6, "NeuralTextures": 6,
        }  # fmt: skip
        groups = Counter(r.source_group for r in records.values())
        assert sorted(groups.values()) == [1, 1, 1, 10, 10, 10]  # three pairs of 2 + 4 x 2, three actors
        assert {r.compression for r in records.values()} == {"c40"}

    def test_shared_c23(self, shared_data: Path) -> None:
        records = checked_scan("ffpp", shared_data / "ffpp_c23")
        assert len(records) == 12
        # The same name as in c40, so that the two levels of one pair meet when both are read.
        assert {r.source_group for r in records.values()} == {"youtube/469"}


def test_celebdf(tmp_path: Path) -> None:
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-real/id0_0001.mp4", "Celeb-real/id1_0000.mp4")
    touch(tmp_path, "Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/id0_id16_0000.mp4", "YouTube-real/00000.mp4")
    touch(tmp_path, "Celeb-synthesis/strange.mp4")
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "1 YouTube-real/00000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"
    )
    records = checked_scan("celebdf", tmp_path)
    assert list(reasons(records)) == ["Celeb-synthesis/strange.mp4"]
    usable = {path: r for path, r in records.items() if r.status == "ok"}
    real, fake, other = (
        "Celeb-real/id0_0000.mp4",
        "Celeb-synthesis/id0_id1_0000.mp4",
        "Celeb-synthesis/id0_id16_0000.mp4",
    )
    assert members(usable) == {
        frozenset({real, fake, other}),
        frozenset({"Celeb-real/id0_0001.mp4"}),
        frozenset({"Celeb-real/id1_0000.mp4"}),
        frozenset({"YouTube-real/00000.mp4"}),
    }
    assert (usable[fake].identity, usable[real].identity) == ("id0,id1", "id0")
    assert {path for path, r in usable.items() if r.official_split == "test"} == {fake, "YouTube-real/00000.mp4"}
