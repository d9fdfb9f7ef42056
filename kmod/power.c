// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hibernation, restart and panic: when memory is about to be written to a disk,
 * or handed to whoever runs next, nothing secret is in it any more. What to do
 * is decided here; it is done by region.c, and by block.c where nobody can wait.
 */
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <linux/string.h>
#include <linux/suspend.h>

#include "alias.h"
#include "block.h"
#include "power.h"
#include "region.h"

enum hibernate_mode { HIBERNATE_WIPE, HIBERNATE_VETO };

static const char * const hibernate_names[] = {
	[HIBERNATE_WIPE] = "wipe",
	[HIBERNATE_VETO] = "veto",
};

/* Looked at once in each hibernation, so it may change at any time. */
static int hibernate_mode = HIBERNATE_WIPE;

static int set_hibernate(const char *value, const struct kernel_param *param)
{
	int mode = sysfs_match_string(hibernate_names, value);

	if (mode < 0)
		return mode;
	WRITE_ONCE(hibernate_mode, mode);
	return 0;
}

static int get_hibernate(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n",
			  hibernate_names[READ_ONCE(hibernate_mode)]);
}

static const struct kernel_param_ops hibernate_ops = {
	.set = set_hibernate,
	.get = get_hibernate,
};

module_param_cb(hibernate, &hibernate_ops, NULL, 0644);
MODULE_PARM_DESC(hibernate,
		 "with regions open: wipe them (wipe, default), or refuse (veto)");

/*
 * Before the image of this kernel is made, and before another's image replaces
 * it: then its memory stays where the image has none. The latter cannot be
 * refused, or what was hibernated would be lost.
 */
static int on_sleep(struct notifier_block *nb, unsigned long action, void *data)
{
	int err = 0;

	switch (action) {
	case PM_HIBERNATION_PREPARE:
		err = lethe_region_shut(READ_ONCE(hibernate_mode) ==
					HIBERNATE_WIPE);
		if (err)
			pr_info("hibernation refused: %llu regions are open, and hibernate=veto\n",
				lethe_region_count());
		break;
	case PM_RESTORE_PREPARE:
		err = lethe_region_shut(true);
		break;
	/* After the image was made, loaded, or could not be. */
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		lethe_region_open();
		break;
	}
	return notifier_from_errno(err);
}

/* Restart, kexec, halt, power-off: for good. */
static int on_restart(struct notifier_block *nb, unsigned long action,
		      void *data)
{
	lethe_alias_write_through();
	lethe_region_shut(true);
	return NOTIFY_DONE;
}

static int on_panic(struct notifier_block *nb, unsigned long action, void *data)
{
	lethe_block_wipe_dying();
	return NOTIFY_DONE;
}

static struct notifier_block sleep_notifier = {
	.notifier_call = on_sleep,
};

static struct notifier_block restart_notifier = {
	.notifier_call = on_restart,
};

/* First: nothing that the others try can be more pressing. */
static struct notifier_block panic_notifier = {
	.notifier_call = on_panic,
	.priority = INT_MAX,
};

/**
 * lethe_power_init() - be told of the machine's ends
 *
 * Waits for a hibernation that is under way.
 *
 * Return: 0, or -errno.
 */
int lethe_power_init(void)
{
	unsigned int flags = lock_system_sleep();
	int err = register_pm_notifier(&sleep_notifier);

	unlock_system_sleep(flags);
	if (err)
		goto err_sleep;
	err = register_reboot_notifier(&restart_notifier);
	if (err)
		goto err_restart;
	err = atomic_notifier_chain_register(&panic_notifier_list,
					     &panic_notifier);
	if (err)
		goto err_panic;
	return 0;

err_panic:
	unregister_reboot_notifier(&restart_notifier);
err_restart:
	unregister_pm_notifier(&sleep_notifier);
err_sleep:
	pr_err("not loaded: it would not be told of hibernation, restart and panic (%d)\n",
	       err);
	return err;
}

/**
 * lethe_power_exit() - no longer
 */
void lethe_power_exit(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_notifier);
	unregister_reboot_notifier(&restart_notifier);
	unregister_pm_notifier(&sleep_notifier);
}
