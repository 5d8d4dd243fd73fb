import torch

from visual_taxonomy.task_weighting.methods.gradient_surgery import random_orders


def test_each_row_holds_all_other_tasks_once():
    orders = random_orders(5, torch.Generator().manual_seed(0))
    for i, row in enumerate(orders.tolist()):
        assert sorted(row) == [j for j in range(5) if j != i]


def test_one_task_meets_nobody():
    assert random_orders(1, None).shape == (1, 0)


def test_all_orders_are_equally_likely():
    generator = torch.Generator().manual_seed(0)
    draws = [tuple(random_orders(3, generator)[0].tolist()) for _ in range(400)]
    assert 160 < draws.count((1, 2)) < 240
