// SPDX-License-Identifier: MIT
/*
 * What layout.c learns is where the kernel itself says its memory is, by other ways:
 * the segments of /proc/kcore, /proc/iomem, and the symbols of /proc/kallsyms, each
 * where this kernel has it. And whoever may not learn it is told why.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/lethe.h>

#include "../../bpf/layout.h"
#include "../selftests/tap.h"

#define SEGMENTS_MAX 256

/* Is @address in a segment of kcore, and there @physical, if that is not -1? */
static bool in_kcore(const Elf64_Phdr *segments, int nr, unsigned long long address,
		     long long physical)
{
	for (int i = 0; i < nr; i++) {
		if (segments[i].p_type != PT_LOAD || address < segments[i].p_vaddr ||
		    address >= segments[i].p_vaddr + segments[i].p_memsz)
			continue;
		if (physical < 0 ||
		    segments[i].p_paddr + (address - segments[i].p_vaddr) ==
			    (unsigned long long)physical)
			return true;
	}
	return false;
}

static int read_kcore(Elf64_Phdr *segments)
{
	int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;
	ssize_t length;

	if (fd < 0)
		return 0;
	if (read(fd, &header, sizeof(header)) != sizeof(header) ||
	    header.e_phnum > SEGMENTS_MAX)
		tap_bail("/proc/kcore is not as expected");
	length = header.e_phnum * sizeof(*segments);
	if (pread(fd, segments, length, header.e_phoff) != length)
		tap_bail("/proc/kcore: %s", strerror(errno));
	close(fd);
	return header.e_phnum;
}

/* The address of RAM's last byte. */
static unsigned long long last_of_ram(void)
{
	FILE *file = fopen("/proc/iomem", "re");
	unsigned long long start, end, last = 0;
	char line[256];

	if (!file)
		tap_bail("/proc/iomem: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (line[0] != ' ' && strstr(line, ": System RAM") &&
		    sscanf(line, "%llx-%llx", &start, &end) == 2)
			last = end;
	}
	fclose(file);
	return last;
}

static unsigned long long symbol(const char *name)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512], found[256], kind;
	unsigned long long address, result = 0;

	if (!file)
		return 0;
	while (!result && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %c %255s", &address, &kind, found) == 3 &&
		    !strcmp(found, name))
			result = address;
	}
	fclose(file);
	return result;
}

static void test_kcore(const struct layout *layout, unsigned long long last)
{
	static Elf64_Phdr segments[SEGMENTS_MAX];
	int nr = read_kcore(segments);
	unsigned long long page = layout->vmemmap + last / 4096 * layout->page_size;

	if (!nr) {
		tap_skip("no /proc/kcore", "the direct map is where kcore has it");
		tap_skip("no /proc/kcore", "the struct pages are where kcore has them");
		return;
	}
	tap_ok(in_kcore(segments, nr, layout->direct_map + last, last) &&
		       !in_kcore(segments, nr, layout->direct_map + last, last - 4096),
	       "the direct map is where kcore has it");
	tap_ok(in_kcore(segments, nr, page, -1) &&
		       !in_kcore(segments, nr, layout->vmemmap - layout->page_size, -1),
	       "the struct pages are where kcore has them");
}

/* @there: does this kernel have what the address is of? */
static void test_symbol(const char *name, unsigned long long learned, bool there)
{
	unsigned long long address = symbol(name);

	tap_ok(!!learned == there, "%s is known just where it is there", name);
	if (!address)
		tap_skip("no such symbol in /proc/kallsyms", "%s is where it says", name);
	else
		tap_ok(!there || learned == address, "%s is where it says", name);
}

static bool has_memfd_secret(void)
{
	int fd = syscall(447, O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* CAP_BPF and CAP_PERFMON are enough to read memory, but not to know frames. */
static bool keep_bpf_alone(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	data[1].effective = data[1].permitted = CAP_TO_MASK(CAP_BPF) |
						CAP_TO_MASK(CAP_PERFMON);
	return !syscall(SYS_capset, &header, data);
}

static void test_no_frames(void)
{
	struct layout layout;
	const char *why = "";
	int status, err;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!child) {
		if (!keep_bpf_alone())
			_exit(2);
		err = layout_learn(&layout, &why);
		printf("# %d, %s\n", err, why);
		fflush(stdout);
		_exit(err != -EPERM || !strstr(why, "CAP_SYS_ADMIN") || layout.vmemmap);
	}
	if (waitpid(child, &status, 0) != child || status == 2 << 8)
		tap_bail("capabilities could not be given up");
	tap_ok(!status,
	       "whoever is not shown frame numbers is told so, and guesses nothing");
}

static int descriptors(void)
{
	int nr = 0;

	for (int fd = 0; fd < 64; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

int main(void)
{
	struct layout layout, again;
	const char *why = "";
	unsigned long long last;
	int err, before;

	if (geteuid())
		tap_skip_all("no right to load a BPF program");
	tap_plan(11);
	test_no_frames();
	err = layout_learn(&layout, &why);
	if (!tap_ok(!err, "the layout is learned"))
		tap_bail("%s", why);
	tap_note("vmemmap %#llx, of %llu bytes each; direct map %#llx; %llu frames",
		 layout.vmemmap, layout.page_size, layout.direct_map, layout.frames);
	tap_note("memfd_secret %#llx, regions %#llx", layout.secretmem_aops,
		 layout.region_fops);

	before = descriptors();
	err = layout_learn(&again, &why);
	tap_ok(!err && !memcmp(&again, &layout, sizeof(again)), "and the same once more");
	tap_ok(descriptors() == before, "nothing is left open");
	last = last_of_ram();
	tap_ok(layout.frames == last / 4096 + 1, "it ends where RAM does");
	test_kcore(&layout, last);
	test_symbol("secretmem_aops", layout.secretmem_aops, has_memfd_secret());
	test_symbol("region_fops", layout.region_fops, !access(LETHE_DEVICE, F_OK));
	return tap_end();
}
