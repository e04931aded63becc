"""The PyTorch process of benches/obs.rs: CPU-seconds of the inverse of the block Fisher matrix by one rank-one update for
each gradient, as SparseML computes it, measured on some gradients and scaled to all: the smaller of those with one
thread and with all threads."""

import resource
import sys

import torch

weights, block, gradients, measured = map(int, sys.argv[1:5])
blocks = -(-weights // block)
torch.manual_seed(1)
inverse = (torch.eye(block) / 1e-7).repeat(blocks, 1, 1)
samples = [torch.randn(blocks, block) * 1e-2 for _ in range(4)]


def add(g):
    along = torch.einsum("bij,bj->bi", inverse, g)
    alpha = torch.sqrt(gradients + torch.einsum("bj,bj->b", g, along)).unsqueeze(1)
    along = along / alpha
    inverse.baddbmm_(along.unsqueeze(2), along.unsqueeze(1), alpha=-1)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


with torch.no_grad():
    for i in range(3):
        add(samples[i])
    best = float("inf")
    for threads in {1, torch.get_num_threads()}:
        torch.set_num_threads(threads)
        add(samples[3])
        for _ in range(2):
            begin = cpu()
            for i in range(measured):
                add(samples[i % 4])
            best = min(best, cpu() - begin)
    print(best / measured * gradients)
