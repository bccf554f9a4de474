"""The rival: a PyTorch loop, written as one who cares for speed writes it.

    python pytorch_loop.py DATA.npz EPOCHS [DEVICE]

The baseline's layers in channels_last memory, fused Adam, the whole set converted once, no
synchronization inside an epoch. Prints one line of JSON.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn

BATCH = 128


def network():
    layers, maps = [], 3
    for channels in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(maps, channels, 3, padding="same"), nn.ReLU(inplace=True)]
            maps = channels
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(inplace=True), nn.Linear(128, 10)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def main(path, epochs, device="cpu"):
    torch.manual_seed(0)
    with np.load(path) as data:
        images = torch.from_numpy(data["images"]).permute(0, 3, 1, 2).float().div_(255)
        labels = torch.from_numpy(data["labels"])
    images = images.contiguous(memory_format=torch.channels_last).to(device)
    labels = labels.to(device)
    model = network().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss()
    seconds = []
    for _ in range(epochs):
        began = time.perf_counter()
        total = torch.zeros((), device=device)
        for batch in torch.randperm(len(labels)).to(device).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"images": len(labels), "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
