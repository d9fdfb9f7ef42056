// SPDX-License-Identifier: MIT
/*
 * The programs as a person or a script meets them: what they print, how they
 * end, and that a wrong request is an error and never "nothing was found".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "needle.h"

#define SECRET 32
#define IMAGE (1024 * 1024)

static char tools[4096]; /* the directory that this program is in */
static char scratch[] = "/tmp/residue-test-XXXXXX";
static char output[16384]; /* of the last command, both streams */

/* The exit status of a command line, run in the scratch directory. */
static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
	char line[8192], whole[16384];
	va_list args;
	FILE *out;
	size_t n;
	int status;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	snprintf(whole, sizeof(whole), "cd %s && PATH=%s:$PATH && { %s; } 2>&1", scratch,
		 tools, line);
	out = popen(whole, "r");
	if (!out)
		tap_bail("popen: %s", strerror(errno));
	n = fread(output, 1, sizeof(output) - 1, out);
	output[n] = 0;
	status = pclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool said(const char *what)
{
	if (strstr(output, what))
		return true;
	tap_note("it did not say \"%s\" but: %s", what, output);
	return false;
}

static FILE *create(const char *name)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	file = fopen(path, "w");
	if (!file)
		tap_bail("%s: %s", path, strerror(errno));
	return file;
}

static void make_secret(struct needle *needle, const char *name, uint8_t *secret)
{
	if (getrandom(secret, SECRET, 0) != SECRET ||
	    needle_make(needle, name, secret, SECRET))
		tap_bail("no secret");
}

static void write_needle(const char *file_name, const struct needle *needle)
{
	FILE *file = create(file_name);

	if (fwrite(needle, sizeof(*needle), 1, file) != 1 || fclose(file))
		tap_bail("a needle cannot be written");
}

static void test_process_search(void)
{
	static uint8_t planted[SECRET], absent[SECRET];
	struct needle needle;
	char line[64];
	pid_t pid;

	make_secret(&needle, "planted", planted);
	write_needle("planted", &needle);
	make_secret(&needle, "absent", absent);
	explicit_bzero(absent, SECRET);
	write_needle("absent", &needle);
	pid = fork();
	if (!pid) {
		for (;;)
			pause();
	}
	tap_ok(run("cat planted absent | residue-search %d", (int)pid) == 0 &&
		       said("found\tplanted\tlibrary\t1\t32\t1\n") &&
		       said("found\tabsent\tnowhere\t0\t0\t0\n") && said("searched\t"),
	       "residue-search tells where a secret lies, and that another is nowhere");
	snprintf(line, sizeof(line), "planted: 32 bytes at %p ", (void *)planted);
	tap_ok(run("residue-search -v %d < planted", (int)pid) == 0 && said(line),
	       "with -v it says at which address");

	tap_ok(run("residue-search %d < /dev/null", (int)pid) == 2 && said("no needles"),
	       "no needle is an error");
	tap_ok(run("head -c 500 planted | residue-search %d", (int)pid) == 2 &&
		       said("reading needles"),
	       "so is a part of one");
	if (geteuid() == 0)
		tap_ok(run("chmod 755 . && setpriv --reuid 65534 --clear-groups %s/residue-search %d < planted",
			   tools, (int)pid) == 2 &&
			       said("run as root"),
		       "where it may not attach, it says what to do");
	else
		tap_skip("root", "where it may not attach, it says what to do");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tap_ok(run("residue-search %d < planted", (int)pid) == 2 && said("no process"),
	       "no process is an error");
	tap_ok(run("residue-search 0 < planted") == 2 && said("usage") &&
		       run("residue-search 12x < planted") == 2 && said("usage") &&
		       run("residue-search < planted") == 2 && said("usage"),
	       "what is no process number is an error");
}

/*
 * An image of memory with a secret at 5000, in frame 1; and at 4096 * 7 - 10,
 * over the end of frame 6.
 */
static void make_image(const uint8_t *secret)
{
	uint8_t *image = calloc(1, IMAGE);
	FILE *file = create("image");

	if (!image)
		tap_bail("no memory");
	memcpy(image + 5000, secret, SECRET);
	memcpy(image + 4096 * 7 - 10, secret, SECRET);
	if (fwrite(image, IMAGE, 1, file) != 1 || fclose(file))
		tap_bail("an image cannot be written");
	free(image);
}

static void test_ram_search(void)
{
	struct needle here, absent;
	uint8_t secret[SECRET];
	FILE *file;

	make_secret(&absent, "absent", secret);
	make_secret(&here, "here", secret);
	make_image(secret);
	file = create("needles");
	if (needle_print(file, &here) || needle_print(file, &absent) || fclose(file))
		tap_bail("needles cannot be written");

	tap_ok(run("{ echo SEARCH a test; cat needles; echo GO; echo noise; } | ramsearch image") ==
			       0 &&
		       said("FOUND here 2 2 32 0 2 0x1388\n") &&
		       said("FOUND absent 0 0 0 0 0 0x0\n") && said("DONE 1048576\n"),
	       "ramsearch counts the copies in an image");
	tap_ok(run("{ cat needles; echo FRAMES 1 1; } | ramsearch image") == 0 &&
		       said("FOUND here 2 2 32 1 1 0x6ff6\n"),
	       "it tells those in frames from those elsewhere");
	tap_ok(run("{ cat needles; echo FRAMES 7 2; echo FRAMES 0 7; } | ramsearch image") ==
			       0 &&
		       said("FOUND here 2 2 32 2 0 0x1388\n"),
	       "a copy over a frame's end is in frames if both are");
	tap_ok(run("{ cat needles; echo FRAMES 0 7; } | ramsearch image") == 0 &&
		       said("FOUND here 2 2 32 1 1 0x6ff6\n"),
	       "and not if one is");
	tap_ok(run("{ cat needles; echo RANGE 0 0 0x1000; echo RANGE 0x1000 0x100000000 0x1000; echo FRAMES 0x100000 1; } | ramsearch image") ==
			       0 &&
		       said("FOUND here 1 1 32 1 0 0x100000388\n") && said("DONE 8192\n"),
	       "it knows which physical memory a part of the image is");
	tap_ok(run("{ cat needles; echo RANGE 0xff000 0 0x2000; } | ramsearch image") ==
			       2 &&
		       run("{ cat needles; echo HELLO; } | ramsearch image") == 2 &&
		       run("{ cat needles; echo NEEDLE x 00; } | ramsearch image") == 2 &&
		       run("echo GO | ramsearch image") == 2 &&
		       run("ramsearch nothing < needles") == 2 &&
		       run("ramsearch /dev/null < needles") == 2,
	       "a request or an image that cannot be is an error");
}

static void test_main_job(void)
{
	static const int sizes[] = { 0, 1, 65536, 65537, 3000000 };
	bool good = true;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char size[64];

		snprintf(size, sizeof(size), "sent, %d bytes, arrived intact", sizes[i]);
		good &= run("head -c %d /dev/urandom > sent; lethe-mainjob sent",
			    sizes[i]) != 2 &&
			said(size);
	}
	tap_ok(good,
	       "the main job sends an empty file, and files about and past a record's size");
	tap_ok(run("lethe-mainjob nothing") == 2 && said("No such file") &&
		       run("lethe-mainjob .") == 2 && said("not a regular file") &&
		       run("lethe-mainjob") == 2 && said("usage"),
	       "a file that cannot be sent is an error");
	tap_ok(run("LETHE_BACKEND=nonsense lethe-mainjob image") == 2 &&
		       said("with Lethe: the sender failed: lethe_do: Invalid"),
	       "a section that cannot be entered is an error, and says whose");
}

int main(void)
{
	ssize_t n = readlink("/proc/self/exe", tools, sizeof(tools) - 1);

	if (n < 0 || !mkdtemp(scratch))
		tap_bail("%s", strerror(errno));
	tools[n] = 0;
	*strrchr(tools, '/') = 0;
	tap_plan(16);
	test_process_search();
	test_ram_search();
	test_main_job();
	run("rm -rf %s", scratch);
	return tap_end();
}
