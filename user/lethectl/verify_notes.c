// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where a file says that sections end: the notes of <sys/sdt.h> whose provider is
 * "lethe"; and of a dynamic linker, the function by which it tells debuggers what it has
 * mapped. The file is the program's, so nothing in it is believed without a look at where
 * it ends. Reads files, and no process.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify.h"

#define NOTE_TYPE 3
/* One liblethe has two; what has thousands is something else. */
#define MARKS_MAX 256

struct image {
	const unsigned char *bytes;
	size_t length;
	const Elf64_Ehdr *header;
};

static const void *part(const struct image *image, uint64_t offset, uint64_t length)
{
	if (offset > image->length || length > image->length - offset)
		return NULL;
	return image->bytes + offset;
}

/* A string that ends inside of @limit bytes, or NULL; and what is behind it. */
static const char *text(const char **at, const char *limit)
{
	const char *begin = *at, *end = memchr(begin, '\0', (size_t)(limit - begin));

	if (!end)
		return NULL;
	*at = end + 1;
	return begin;
}

static const Elf64_Shdr *sections(const struct image *image, size_t *nr)
{
	*nr = image->header->e_shentsize == sizeof(Elf64_Shdr) ? image->header->e_shnum :
								 0;
	return part(image, image->header->e_shoff, *nr * sizeof(Elf64_Shdr));
}

static bool is_named(const struct image *image, const Elf64_Shdr *table, size_t nr,
		     const Elf64_Shdr *section, const char *name)
{
	const Elf64_Shdr *strings;
	const char *its;

	if (image->header->e_shstrndx >= nr)
		return false;
	strings = &table[image->header->e_shstrndx];
	if (section->sh_name >= strings->sh_size ||
	    strings->sh_size - section->sh_name < strlen(name) + 1)
		return false;
	its = part(image, strings->sh_offset + section->sh_name, strlen(name) + 1);
	return its && !memcmp(its, name, strlen(name) + 1);
}

/* The place in the file of what is linked to be at @address; 0: it is in none. */
static uint64_t in_file(const struct image *image, uint64_t address)
{
	const Elf64_Ehdr *header = image->header;
	const Elf64_Phdr *segment;
	size_t i, nr = header->e_phentsize == sizeof(*segment) ? header->e_phnum : 0;

	segment = part(image, header->e_phoff, nr * sizeof(*segment));
	for (i = 0; segment && i < nr; i++)
		if (segment[i].p_type == PT_LOAD && segment[i].p_flags & PF_X &&
		    address >= segment[i].p_vaddr &&
		    address - segment[i].p_vaddr < segment[i].p_filesz)
			return address - segment[i].p_vaddr + segment[i].p_offset;
	return 0;
}

static struct {
	const char *const *names;
	unsigned int nr;
} wanted;

void notes_want(const char *const *names, unsigned int nr)
{
	wanted.names = names;
	wanted.nr = nr;
}

static void add_mark(struct noted *noted, uint64_t offset, enum mark_kind kind,
		     const char *name)
{
	struct noted_mark *more;

	if (!offset || noted->nr_marks == MARKS_MAX)
		return;
	more = reallocarray(noted->mark, noted->nr_marks + 1, sizeof(*more));
	if (!more)
		return;
	noted->mark = more;
	noted->mark[noted->nr_marks++] = (struct noted_mark){ offset, kind, name };
}

/* Which of those that are wanted it is; NULL: none. */
static const char *is_wanted(const char *provider, const char *name)
{
	size_t length = strlen(provider);
	unsigned int i;

	for (i = 0; i < wanted.nr; i++)
		if (!strncmp(wanted.names[i], provider, length) &&
		    wanted.names[i][length] == ':' &&
		    !strcmp(wanted.names[i] + length + 1, name))
			return wanted.names[i];
	return NULL;
}

/* One note's description: three addresses, and three strings. */
static void read_mark(const struct image *image, struct noted *noted, const char *at,
		      size_t length, uint64_t base)
{
	const char *limit = at + length, *provider, *name, *asked;
	uint64_t address[3];
	bool end;

	if (length < sizeof(address))
		return;
	memcpy(address, at, sizeof(address));
	at += sizeof(address);
	provider = text(&at, limit);
	name = provider ? text(&at, limit) : NULL;
	if (!name)
		return;
	end = !strcmp(provider, "lethe") && !strcmp(name, "section_end");
	asked = is_wanted(provider, name);
	/* One with a semaphore is passed over by the program until somebody raises that. */
	if ((!end && !asked) || address[2])
		return;
	/* Moved since it was linked, as the base tells. */
	if (base && address[1])
		address[0] += base - address[1];
	add_mark(noted, in_file(image, address[0]), end ? MARK_END : MARK_AT, asked);
}

static void read_notes(const struct image *image, struct noted *noted,
		       const Elf64_Shdr *section, uint64_t base)
{
	const char *at = part(image, section->sh_offset, section->sh_size), *limit;
	Elf64_Nhdr note;
	size_t name, all;

	if (!at)
		return;
	for (limit = at + section->sh_size; (size_t)(limit - at) >= sizeof(note);
	     at += all) {
		memcpy(&note, at, sizeof(note));
		name = sizeof(note) + (((size_t)note.n_namesz + 3) & ~(size_t)3);
		all = name + (((size_t)note.n_descsz + 3) & ~(size_t)3);
		if (all > (size_t)(limit - at))
			return;
		if (note.n_type == NOTE_TYPE && note.n_namesz == sizeof("stapsdt") &&
		    !memcmp(at + sizeof(note), "stapsdt", sizeof("stapsdt")))
			read_mark(image, noted, at + name, note.n_descsz, base);
	}
}

/* Does it have, or want, what is called so? Where it has it, in @value. */
static bool has_symbol(const struct image *image, const Elf64_Shdr *table,
		       const Elf64_Shdr *strings, const char *name, uint64_t *value)
{
	const Elf64_Sym *symbols = part(image, table->sh_offset, table->sh_size);
	const char *names = part(image, strings->sh_offset, strings->sh_size);
	size_t i, length = strlen(name) + 1;

	for (i = 0; symbols && names && i < table->sh_size / sizeof(*symbols); i++) {
		if (symbols[i].st_name >= strings->sh_size ||
		    strings->sh_size - symbols[i].st_name < length ||
		    memcmp(names + symbols[i].st_name, name, length))
			continue;
		*value = symbols[i].st_shndx == SHN_UNDEF ? 0 : symbols[i].st_value;
		return true;
	}
	return false;
}

/* The place of an address, and the byte there. */
static void set_byte(const struct image *image, uint64_t *place, uint8_t *was,
		     uint64_t address)
{
	const uint8_t *byte;

	*place = in_file(image, address);
	byte = *place ? part(image, *place, 1) : NULL;
	*was = byte ? *byte : 0;
}

static void read_sections(const struct image *image, struct noted *noted)
{
	const Elf64_Shdr *table;
	uint64_t base = 0, value;
	size_t i, nr;

	table = sections(image, &nr);
	for (i = 0; table && i < nr; i++)
		if (is_named(image, table, nr, &table[i], ".stapsdt.base"))
			base = table[i].sh_addr;
	for (i = 0; table && i < nr; i++) {
		if (table[i].sh_type == SHT_NOTE &&
		    is_named(image, table, nr, &table[i], ".note.stapsdt"))
			read_notes(image, noted, &table[i], base);
		if ((table[i].sh_type != SHT_DYNSYM && table[i].sh_type != SHT_SYMTAB) ||
		    table[i].sh_link >= nr)
			continue;
		if (table[i].sh_type == SHT_DYNSYM &&
		    has_symbol(image, &table[i], &table[table[i].sh_link],
			       "_dl_debug_state", &value))
			set_byte(image, &noted->linker, &noted->linker_was, value);
		if (has_symbol(image, &table[i], &table[table[i].sh_link], "ptrace",
			       &value) &&
		    (!value || image->header->e_type == ET_EXEC))
			noted->traces = true;
	}
}

static void read_image(const struct image *image, struct noted *noted)
{
	const Elf64_Ehdr *header = image->header;
	const Elf64_Phdr *segment;
	size_t i, nr = header->e_phentsize == sizeof(*segment) ? header->e_phnum : 0;

	segment = part(image, header->e_phoff, nr * sizeof(*segment));
	for (i = 0; segment && i < nr; i++)
		noted->interpreted |= segment[i].p_type == PT_INTERP;
	if (noted->interpreted)
		set_byte(image, &noted->entry, &noted->entry_was, header->e_entry);
	read_sections(image, noted);
}

static int open_mapped(pid_t pid, uint64_t start, uint64_t end, const char *name,
		       uint64_t inode, struct stat *st)
{
	char path[4200];
	int fd, i;

	for (i = 0; i < 2; i++) {
		if (i)
			snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, name);
		else
			snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx",
				 (int)pid, (unsigned long long)start,
				 (unsigned long long)end);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			continue;
		if (!fstat(fd, st) && S_ISREG(st->st_mode) && st->st_ino == inode &&
		    st->st_size)
			return fd;
		close(fd);
	}
	return -1;
}

/* What was looked at stays: most files are those of every process. */
static struct {
	struct noted *noted;
	size_t nr, room;
} known;

static struct noted *remember(const struct stat *st)
{
	struct noted *more;

	if (known.nr == known.room) {
		known.room = known.room ? 2 * known.room : 32;
		more = reallocarray(known.noted, known.room, sizeof(*more));
		if (!more)
			return NULL;
		known.noted = more;
	}
	more = &known.noted[known.nr++];
	*more = (struct noted){ .device = st->st_dev, .inode = st->st_ino };
	return more;
}

const struct noted *notes_of(pid_t pid, uint64_t start, uint64_t end, const char *name,
			     uint64_t inode)
{
	struct image image = { 0 };
	struct noted *noted = NULL;
	struct stat st;
	size_t i;
	int fd;

	fd = open_mapped(pid, start, end, name, inode, &st);
	if (fd < 0)
		return NULL;
	for (i = 0; i < known.nr; i++) {
		if (known.noted[i].inode == st.st_ino &&
		    known.noted[i].device == st.st_dev) {
			close(fd);
			return &known.noted[i];
		}
	}
	image.length = (size_t)st.st_size;
	image.bytes = mmap(NULL, image.length, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (image.bytes == MAP_FAILED)
		return NULL;
	image.header = part(&image, 0, sizeof(*image.header));
	noted = remember(&st);
	if (noted && image.header && !memcmp(image.header->e_ident, ELFMAG, SELFMAG) &&
	    image.header->e_ident[EI_CLASS] == ELFCLASS64 &&
	    image.header->e_machine == EM_X86_64)
		read_image(&image, noted);
	munmap((void *)image.bytes, image.length);
	return noted;
}
