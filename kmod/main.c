// SPDX-License-Identifier: GPL-2.0-only
/*
 * lethe.ko: the order in which its parts come and go, and the refusal to load
 * where the rules cannot be kept. It never does any of the work itself.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "block.h"
#include "device.h"
#include "directmap.h"
#include "fpu.h"
#include "power.h"
#include "xsave.h"

static int __init lethe_init(void)
{
	int err;

	if (!IS_ENABLED(CONFIG_X86_64)) {
		pr_err("not loaded: only x86-64 lets a module unmap memory from the kernel\n");
		return -EOPNOTSUPP;
	}

	err = lethe_directmap_check();
	if (err)
		return err;

	lethe_xsave_init();

	err = lethe_block_init();
	if (err) {
		pr_err("not loaded: no memory for a shrinker\n");
		return err;
	}

	/* Before anybody can have a region that it would have to end. */
	err = lethe_power_init();
	if (err)
		goto err_block;

	lethe_fpu_init();

	err = lethe_device_init();
	if (err)
		goto err_fpu;
	return 0;

err_fpu:
	lethe_fpu_exit();
	lethe_power_exit();
err_block:
	lethe_block_exit();
	return err;
}

static void __exit lethe_exit(void)
{
	if (!IS_ENABLED(CONFIG_X86_64))
		return;

	/* Open regions hold the module, so that none is left by now. */
	lethe_device_exit();
	lethe_fpu_exit();
	lethe_power_exit();
	lethe_block_exit();
}

module_init(lethe_init);
module_exit(lethe_exit);

MODULE_DESCRIPTION("Memory that the kernel has unmapped, and a call that wipes");
MODULE_LICENSE("GPL");
