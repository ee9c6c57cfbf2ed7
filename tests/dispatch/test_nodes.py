"""Two nodes on loopback: each is a launcher of its own with one process, as Slurm starts them on two machines."""

import subprocess
import sys

import torch
import yaml
from safetensors.torch import load_file

from labkit.runs import listing
from labkit.training import train
from tests.dispatch.loopback import free_port


def test_two_nodes_train_one_run_to_the_weights_of_one_process(model, tmp_path):
    config = {"stage": "sft", "model": str(model), "cell": "gp-l", "steps": 3, "batch_size": 4, "lr": 1e-3}
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    alone = train(path, out=tmp_path / "alone")
    path.write_text(yaml.safe_dump({**config, "processes": 2}))
    port = free_port()
    nodes = []
    for rank in range(2):
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1"]
        launcher += ["--node_rank", str(rank), "--master_addr", "127.0.0.1", "--master_port", str(port)]
        words = ["-m", "labkit", "train", str(path), "--device", "cpu", "--out", str(tmp_path / "shared")]
        nodes.append(subprocess.Popen([*launcher, *words], stderr=subprocess.PIPE, text=True))
    said = [node.communicate()[1] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    [together] = listing(tmp_path / "shared")
    assert together.status["status"] == "finished"
    assert [line["step"] for line in together.metrics()] == [1, 2, 3], "one of the nodes writes the run"
    one, two = (load_file(run.checkpoint(3) / "model.safetensors") for run in (alone, together))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-4, atol=1e-5)
