// SPDX-License-Identifier: MIT
/*
 * lethectl scan in the virtual machine, on the module: what scan_seeds.py has written is
 * planted in scan_target, and all of it found, and no more; a secret in a region is
 * protected, and its plain copy found; what is in registers is found there once.
 *
 *	scan_guest LETHECTL TARGET SUBJECT KEPT SEEDS
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <regex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"

#define SECRET 32
#define SEEDS_MAX 1024

static const char *lethectl, *target, *subject, *kept;
static const char *const forms[] = { "plain", "words", "hex", "base64", "utf16",
				     "limbs", "aes",   "sha", "chacha" };
static FILE *seeds;
static struct json_object *said;
static int exit_status;

/* As scan_target takes it; of the environment and the arguments, of no length. */
struct plant {
	char place[24];
	uint32_t length, shift;
};

struct seed {
	uint32_t run, whole, forms;
	uint64_t address;
	regex_t where;
	bool anywhere;
};

struct child {
	pid_t pid;
	FILE *in, *out;
};

static struct child start(char *const *argv, char *const *environment)
{
	struct child child;
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		tap_bail("pipe: %s", strerror(errno));
	child.pid = fork();
	if (!child.pid) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execve(argv[0], argv, environment);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	child.in = fdopen(in[1], "w");
	child.out = fdopen(out[0], "r");
	return child;
}

static void end(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	if (child->in)
		fclose(child->in);
	fclose(child->out);
}

static void scan(pid_t process, const uint8_t *secret, size_t length)
{
	static char text[4 << 20];
	char number[16];
	int fd = memfd_create("secret", 0), out[2], status;
	size_t at = 0;
	ssize_t n;
	pid_t pid;

	if (fd < 0 || write(fd, secret, length) != (ssize_t)length ||
	    lseek(fd, 0, SEEK_SET) || pipe2(out, O_CLOEXEC))
		tap_bail("a file with the secret: %s", strerror(errno));
	snprintf(number, sizeof(number), "%d", process);
	pid = fork();
	if (!pid) {
		dup2(out[1], STDOUT_FILENO);
		dup2(fd, 100);
		execl(lethectl, lethectl, "scan", "--json", "--pid", number,
		      "--secret-fd", "100", NULL);
		_exit(127);
	}
	close(out[1]);
	close(fd);
	while ((n = read(out[0], text + at, sizeof(text) - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	close(out[0]);
	waitpid(pid, &status, 0);
	exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	json_object_put(said);
	said = json_tokener_parse(text);
	if (!said)
		tap_bail("lethectl scan: %d: %.200s", exit_status, text);
}

static struct json_object *member(struct json_object *of, const char *name)
{
	struct json_object *it = NULL;

	json_object_object_get_ex(of, name, &it);
	return it;
}

static const char *text(struct json_object *of, const char *name)
{
	struct json_object *it = member(of, name);

	return it ? json_object_get_string(it) : "";
}

static uint64_t number(struct json_object *of, const char *name)
{
	struct json_object *it = member(of, name);

	return it ? json_object_get_uint64(it) : 0;
}

static void get(void *to, size_t length)
{
	if (fread(to, 1, length, seeds) != length)
		tap_bail("the file of seeds is too short");
}

static uint32_t get_number(void)
{
	uint32_t value;

	get(&value, sizeof(value));
	return value;
}

static char *get_bytes(size_t *length)
{
	char *bytes;

	*length = get_number();
	bytes = calloc(*length + 1, 1);
	get(bytes, *length);
	return bytes;
}

static char **get_strings(const char *first)
{
	uint32_t n = get_number(), i = 0, more = !!first;
	char **strings = calloc(n + 2, sizeof(*strings));
	size_t length;

	if (first)
		strings[i++] = strdup(first);
	while (i < n + more)
		strings[i++] = get_bytes(&length);
	return strings;
}

/* Gives it to the child, if it is one of its plants. */
static void plant(struct child *child, struct seed *seed)
{
	struct plant plant;
	char line[64] = "", *where, *bytes;
	size_t length;

	get(&plant, sizeof(plant));
	bytes = calloc(plant.length + 1, 1);
	get(bytes, plant.length);
	if (plant.length) {
		fwrite(&plant, sizeof(plant), 1, child->in);
		fwrite(bytes, plant.length, 1, child->in);
		fflush(child->in);
		if (!fgets(line, sizeof(line), child->out))
			tap_bail("%s: it did not get planted", plant.place);
		seed->address = strtoull(line, NULL, 16);
		/* What is around it, it is not. */
		seed->address += seed->address != 0;
	}
	free(bytes);
	seed->run = get_number();
	seed->whole = get_number();
	seed->forms = get_number();
	where = get_bytes(&length);
	seed->anywhere = !length;
	if (length && regcomp(&seed->where, where, REG_EXTENDED | REG_NOSUB))
		tap_bail("%s: no expression", where);
	free(where);
}

static bool is(const struct seed *seed, struct json_object *finding)
{
	const char *form = text(finding, "form");
	size_t i;

	for (i = 0; i < 9; i++)
		if (!strcmp(forms[i], form))
			break;
	return i < 9 && seed->forms >> i & 1 && number(finding, "run") == seed->run &&
	       (!seed->whole || json_object_get_boolean(member(finding, "whole"))) &&
	       (!seed->address || number(finding, "address") == seed->address) &&
	       (seed->anywhere ||
		!regexec(&seed->where, text(finding, "place"), 0, NULL, 0));
}

/* Each of the findings is one seed's. How many seeds have one; and who is nobody's. */
static size_t compare(const struct seed *all, size_t nr, size_t *more)
{
	struct json_object *findings = member(said, "findings"), *finding;
	static bool met[SEEDS_MAX];
	size_t i, j, found = 0;

	memset(met, 0, sizeof(met));
	*more = 0;
	for (i = 0; i < json_object_array_length(findings); i++) {
		finding = json_object_array_get_idx(findings, i);
		/* Nobody plants there; calls leave what they were given. */
		if (!strcmp(text(finding, "in"), "kernel"))
			continue;
		for (j = 0; j < nr; j++)
			if (!met[j] && is(&all[j], finding))
				break;
		if (j < nr) {
			met[j] = true;
			found++;
			continue;
		}
		++*more;
		tap_note("none of ours: %s", json_object_to_json_string(finding));
	}
	for (j = 0; j < nr; j++)
		if (!met[j])
			tap_note("missed: %u bytes, forms %#x, at %#llx", all[j].run,
				 all[j].forms, (unsigned long long)all[j].address);
	return found;
}

static size_t one_process(bool first)
{
	static struct seed all[SEEDS_MAX];
	const struct plant last = { .length = 0 };
	size_t length, nr, i, found, more;
	char line[64] = "", *secret = get_bytes(&length);
	char **arguments = get_strings(target), **environment = get_strings(NULL);
	struct child child = start(arguments, environment);
	uint8_t other[SECRET];

	nr = get_number();
	if (nr > SEEDS_MAX)
		tap_bail("too many seeds");
	memset(all, 0, sizeof(all));
	for (i = 0; i < nr; i++)
		plant(&child, &all[i]);
	fwrite(&last, sizeof(last), 1, child.in);
	fflush(child.in);
	if (!fgets(line, sizeof(line), child.out) || strcmp(line, "ready\n"))
		tap_bail("the target did not get ready: %s", line);
	scan(child.pid, (uint8_t *)secret, length);
	found = compare(all, nr, &more);
	tap_ok(exit_status == 1 && found == nr && !more,
	       "of a secret of %zu bytes, %zu of %zu copies are found, and %zu more",
	       length, found, nr, more);
	if (first && getrandom(other, sizeof(other), 0) == sizeof(other)) {
		scan(child.pid, other, sizeof(other));
		tap_ok(exit_status == 0 && !number(said, "found"),
		       "and none of a secret that is not there");
	}
	end(&child);
	for (i = 0; i < nr; i++)
		if (!all[i].anywhere)
			regfree(&all[i].where);
	return found;
}

static struct child begin(const char *program, const char *way, const char *file,
			  const char *argument, uint8_t *secret)
{
	char *const argv[] = { (char *)program, (char *)way, (char *)file,
			       (char *)argument, NULL };
	char *const environment[] = { NULL };
	struct child child = start(argv, environment);
	char line[64] = "";

	if (getrandom(secret, SECRET, 0) != SECRET)
		tap_bail("getrandom: %s", strerror(errno));
	secret[7] &= 0x7f;
	fwrite(secret, SECRET, 1, child.in);
	fclose(child.in);
	child.in = NULL;
	if (!fgets(line, sizeof(line), child.out) || strcmp(line, "ready\n"))
		tap_bail("%s %s: %s", program, way, line);
	return child;
}

/* Secret pages of this kind, and so many plain copies besides. */
static void protected(const char *way, const char *why, const char *file, int copies)
{
	struct json_object *list, *one;
	uint8_t secret[SECRET];
	struct child child;

	child = begin(subject, way, file, copies ? "1" : "0", secret);
	scan(child.pid, secret, sizeof(secret));
	list = member(said, "protected");
	one = json_object_array_length(list) == 1 ? json_object_array_get_idx(list, 0) :
						    NULL;
	tap_ok(exit_status == !!copies && number(said, "found") == (uint64_t)copies &&
		       one && number(one, "bytes") == 65536 &&
		       !strcmp(text(one, "why"), why),
	       "%s%d copies are found of what is on secret pages, which are named: %s",
	       copies ? "control: " : "", copies, one ? text(one, "why") : "not at all");
	end(&child);
}

static size_t in_kernel(void)
{
	struct json_object *findings = member(said, "findings");
	size_t i, n = 0;

	for (i = 0; i < json_object_array_length(findings); i++)
		n += !strcmp(text(json_object_array_get_idx(findings, i), "in"),
			     "kernel");
	return n;
}

static void registers(void)
{
	struct json_object *kernel;
	uint8_t secret[SECRET];
	struct child child;

	child = begin(kept, "live", NULL, NULL, secret);
	usleep(200000);
	scan(child.pid, secret, sizeof(secret));
	kernel = member(said, "kernel");
	tap_ok(exit_status == 1 && number(said, "found_whole") >= 16 && !in_kernel() &&
		       number(kernel, "live") >= 16 &&
		       number(kernel, "searched_bytes") > 16384,
	       "what is in %llu registers is found there, and in the kernel not again",
	       (unsigned long long)number(said, "found_whole"));
	end(&child);
	child = begin(kept, "call", NULL, NULL, secret);
	usleep(300000);
	scan(child.pid, secret, sizeof(secret));
	tap_ok(exit_status == 1 && in_kernel() == number(said, "found"),
	       "an argument of system calls is found on the kernel's stack %zu times",
	       in_kernel());
	end(&child);
}

int main(int argc, char **argv)
{
	char file[] = "/tmp/scan_guest.XXXXXX";
	uint32_t nr, i, seed;
	size_t found = 0;
	int fd;

	if (argc < 6)
		tap_bail("LETHECTL TARGET SUBJECT KEPT SEEDS");
	lethectl = argv[1];
	target = argv[2];
	subject = argv[3];
	kept = argv[4];
	seeds = fopen(argv[5], "r");
	fd = mkstemp(file);
	if (!seeds || fd < 0 || ftruncate(fd, 4096))
		tap_bail("%s, %s: %s", argv[5], file, strerror(errno));
	seed = get_number();
	nr = get_number();
	tap_plan(nr + 7);
	tap_note("SEED=%u", seed);
	for (i = 0; i < nr; i++)
		found += one_process(!i);
	tap_ok(found == 500, "%zu copies in all are found", found);
	protected("region", "a region of Lethe's", file, 0);
	protected("region", "a region of Lethe's", file, 1);
	protected("secret", "memfd_secret", file, 0);
	registers();
	unlink(file);
	return tap_end();
}
