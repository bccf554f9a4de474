"""The template of a plugin in a folder of its own, from `regbench init` to the report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from regbench import cli, plugins

MINE = """
data: {name: stripes, train_examples: 64, test_examples: 40}
model: {name: two_branches}
train: {epochs: 1, batch_size: 32}
soft_targets: 0.2
"""
BROKEN = '''
calls = []


@regbench.regularizer("broken")
class Broken(regbench.Toggle):
    """Darkens images more and more, and adds noise before dense layers, at inference too."""

    by: float = 0.5

    def batch(self, images, targets, rng):
        calls.append(len(images))
        return images * np.float32(0.9 ** len(calls)), targets

    def before_dense(self, name):
        import keras

        class Noise(keras.layers.GaussianNoise):
            def call(self, inputs, training=False):
                return super().call(inputs, training=True)

        return [Noise(self.by, name=f"{name}_noise")]
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the template was written, and trained through a config of its own."""
    home = tmp_path_factory.mktemp("home")
    (home / "mine.yaml").write_text(MINE)
    regbench(home, "init", "--plugin", "my_plugin.py")
    regbench(home, "run", "mine.yaml", "--plugin", "my_plugin.py", "--threads", "1", "--no-probes")
    return home


def regbench(folder, *arguments):
    """Run the program in a folder that is not the repository."""
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-P", "-m", "regbench", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_plugins_run_records_which_source_it_was_made_with(folder):
    (run,) = (folder / "results").iterdir()
    environment = json.loads((run / "environment.json").read_text())
    (sha256,) = [each["sha256"] for each in environment["plugins"].values()]
    assert environment["plugins"] == {"my_plugin": {"place": "my_plugin.py", "sha256": sha256}}
    assert f"plugins: {{my_plugin: {sha256}}}" in (run / "config.yaml").read_text()
    assert json.loads((run / "summary.json").read_text())["status"] == "completed"


def test_its_results_are_compared_and_reported_without_it(folder, tmp_path, capsys):
    for arguments in (["compare", "--changes"], ["report", "-o", str(tmp_path / "report.html")]):
        with pytest.raises(SystemExit) as ended:
            cli.main([arguments[0], str(folder / "results"), *arguments[1:]])
        assert not ended.value.code
        assert "Warning" not in capsys.readouterr().err
    assert plugins.loaded() == []
    assert "mine" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_template_is_not_written_over_a_file(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    before = Path("my_plugin.py").read_text()
    with pytest.raises(SystemExit, match="2"):
        cli.main(["init", "--plugin", "my_plugin.py"])
    assert "my_plugin.py exists already" in capsys.readouterr().err
    assert Path("my_plugin.py").read_text() == before


@pytest.mark.processes
def test_the_doctor_passes_the_template_and_finds_memory_and_noise_at_inference(folder, capsys):
    both = folder / "both.py"
    both.write_text((folder / "my_plugin.py").read_text() + BROKEN)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main(["doctor", "--plugin", str(both), "--json"])
    finally:
        plugins.unload()
    checks = json.loads(capsys.readouterr().out)
    passed = {(each["technique"], each["rule"]): each["passed"] for each in checks}
    assert ended.value.code == 1
    assert [key for key, each in passed.items() if not each] == [
        ("broken", "draws depend on rng alone"), ("broken", "evaluation draws nothing"),
        ("broken", "resume is exact"),
    ]  # fmt: skip
    assert [rule for technique, rule in passed if technique == "soft_targets"] == [
        "draws depend on rng alone", "targets sum to one", "shapes and float32 are kept",
        "inputs are not changed in place", "evaluation draws nothing", "resume is exact",
    ]  # fmt: skip
