from harness.bisect.mixtures import groups, mixed, names
from harness.stacks.stack import untouched_lock, versions_of

OLD = "datasets==1\npeft==1\ntokenizers==1 \\\n    --hash=sha256:aa\ntorch==2\ntransformers==1\ntrl==1\nunsloth==1\n"
NEW = "datasets==1\njson5==1\npeft==1\ntokenizers==2 \\\n    --hash=sha256:bb\ntorch==3\ntransformers==1\ntrl==2\nunsloth==2\n"


def test_what_differs_comes_in_groups() -> None:
    found = groups(OLD, NEW)
    assert names(found) == "unsloth, tokenizers, trl, torch, other packages"
    assert [str(group) for group in found] == [
        "unsloth 1 -> 2",
        "tokenizers 1 -> 2",
        "trl 1 -> 2",
        "torch 2 -> 3",
        "json5 none -> 1",
    ]


def test_a_mixture_has_the_moved_packages_with_their_hashes() -> None:
    moved = [
        group for group in groups(OLD, NEW) if group.name in ("transformers", "other packages")
    ]
    assert mixed(OLD, NEW, moved) == OLD.replace("tokenizers==1", "tokenizers==2").replace(
        "aa\n", "bb\n"
    ).replace("datasets==1\n", "datasets==1\njson5==1\n")


def test_a_package_that_the_other_side_lacks_goes_away() -> None:
    moved = [group for group in groups(NEW, OLD) if group.name == "other packages"]
    assert "json5" not in mixed(NEW, OLD, moved)


def test_nothing_moved_and_all_moved_are_the_two_locks() -> None:
    old, new = untouched_lock("2026.10.8"), untouched_lock("2026.10.9")
    assert mixed(old, new, []) == old
    assert mixed(old, new, groups(old, new)) == new
    assert versions_of(mixed(old, new, groups(old, new)[:1]))["unsloth"] == "2026.10.9"
