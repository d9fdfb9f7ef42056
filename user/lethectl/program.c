// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A look at a program before it is run: is it one that LD_PRELOAD works on? The
 * dynamic linker passes over LD_PRELOAD in silence where it does not, and the program
 * would run unprotected. Reads files, and runs nothing.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lethectl.h"

/* The dynamic linker of the libc that the library is for. */
#define INTERPRETER "/lib64/ld-linux-x86-64.so.2"
/* As many as the kernel follows. */
#define MAX_SCRIPTS 4

/* A file that is mapped, and what of it is asked for lies inside. */
struct image {
	const unsigned char *bytes;
	size_t length;
};

static const void *part(const struct image *image, size_t offset, size_t length)
{
	if (offset > image->length || length > image->length - offset)
		return NULL;
	return image->bytes + offset;
}

static int check_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return access(path, X_OK) < 0 ? -errno : 0;
}

/* As execvp() does: what may not be executed is passed over, and remembered. */
static int find(const char *name, char *path, size_t room)
{
	const char *dir = getenv("PATH") ?: "/bin:/usr/bin", *end;
	int err = -ENOENT, n, here;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/')) {
		if (strlen(name) >= room)
			return -ENAMETOOLONG;
		strcpy(path, name);
		return check_file(path);
	}
	for (;; dir = end + 1) {
		end = strchrnul(dir, ':');
		n = snprintf(path, room, "%.*s%s%s", (int)(end - dir), dir,
			     end > dir ? "/" : "./", name);
		here = n < 0 || (size_t)n >= room ? -ENAMETOOLONG : check_file(path);
		if (!here)
			return 0;
		if (here == -EACCES)
			err = here;
		if (!*end)
			return err;
	}
}

/* Do set-id bits or file capabilities change what it may? Then AT_SECURE is set. */
static const char *privileges(const char *path)
{
	struct stat st;

	/* Nothing is granted on exec then. */
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || stat(path, &st) < 0)
		return NULL;
	if (st.st_mode & S_ISUID && st.st_uid != getuid())
		return "is set-user-ID";
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
	    st.st_gid != getgid())
		return "is set-group-ID";
	if (getxattr(path, "security.capability", NULL, 0) > 0)
		return "has file capabilities";
	return NULL;
}

/* Does this table of symbols define it? */
static bool has_malloc(const struct image *image, const Elf64_Shdr *table,
		       const Elf64_Shdr *strings)
{
	const Elf64_Sym *symbols = part(image, table->sh_offset, table->sh_size);
	const char *text = part(image, strings->sh_offset, strings->sh_size);
	static const char name[] = "malloc";
	size_t i;

	for (i = 0; symbols && text && i < table->sh_size / sizeof(*symbols); i++)
		if (symbols[i].st_shndx != SHN_UNDEF &&
		    strings->sh_size >= sizeof(name) &&
		    symbols[i].st_name <= strings->sh_size - sizeof(name) &&
		    !memcmp(text + symbols[i].st_name, name, sizeof(name)))
			return true;
	return false;
}

/* A program that is stripped still has the headers of its dynamic symbols. */
static const char *why_not_symbols(const struct image *image, const Elf64_Ehdr *header)
{
	const Elf64_Shdr *sections;
	size_t i;

	sections = part(image, header->e_shoff, header->e_shnum * sizeof(*sections));
	for (i = 0; sections && i < header->e_shnum; i++) {
		if (sections[i].sh_type != SHT_DYNSYM ||
		    sections[i].sh_link >= header->e_shnum)
			continue;
		if (has_malloc(image, &sections[i], &sections[sections[i].sh_link]))
			return "has a malloc() of its own, which comes before any other";
		return NULL;
	}
	return "does not say which symbols it has, so it may have a malloc() of its own";
}

static const char *why_not_elf(const struct image *image, char *room, size_t length)
{
	const Elf64_Ehdr *header = part(image, 0, sizeof(*header));
	const Elf64_Phdr *headers;
	const char *interpreter = NULL;
	size_t i, size = 0;

	if (!header || header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_machine != EM_X86_64)
		return "is not for x86-64";
	headers = part(image, header->e_phoff, header->e_phnum * sizeof(*headers));
	if (!headers || header->e_phentsize != sizeof(*headers) ||
	    header->e_shentsize != sizeof(Elf64_Shdr))
		return "is no program";
	for (i = 0; i < header->e_phnum; i++) {
		if (headers[i].p_type != PT_INTERP)
			continue;
		size = headers[i].p_filesz;
		interpreter = part(image, headers[i].p_offset, size);
	}
	if (!interpreter)
		return "is linked statically: it has its malloc() inside. Link it with liblethe";
	if (size != sizeof(INTERPRETER) || memcmp(interpreter, INTERPRETER, size)) {
		snprintf(room, length, "is for another libc (%.*s)",
			 size < 100 ? (int)size : 100, interpreter);
		return room;
	}
	return why_not_symbols(image, header);
}

/* "#! interpreter": its path. False: it is no script that says one. */
static bool script_interpreter(const struct image *image, char *path, size_t room)
{
	const char *text = (const char *)image->bytes;
	size_t at = 2, end, length = image->length < 256 ? image->length : 256;

	if (length < 2 || text[0] != '#' || text[1] != '!')
		return false;
	while (at < length && (text[at] == ' ' || text[at] == '\t'))
		at++;
	for (end = at; end < length && !strchr(" \t\r\n", text[end]);)
		end++;
	if (end == at || end - at >= room)
		return false;
	memcpy(path, text + at, end - at);
	path[end - at] = '\0';
	return true;
}

static int map_image(const char *path, struct image *image)
{
	struct stat st;
	int fd, err = 0;
	void *p;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		err = -errno;
	} else if (!st.st_size) {
		*image = (struct image){ NULL, 0 };
	} else {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED)
			err = -errno;
		else
			*image = (struct image){ p, (size_t)st.st_size };
	}
	close(fd);
	return err;
}

/* What one file is. 0, or 1: a script, and program->path is its interpreter's now. */
static int look_at(struct program *program, const struct image *image)
{
	const char *why;
	char room[256];

	if (image->length < SELFMAG || memcmp(image->bytes, ELFMAG, SELFMAG)) {
		/* Who says none is the shell's, as execvp() has it. */
		if (!script_interpreter(image, program->path, sizeof(program->path)))
			strcpy(program->path, "/bin/sh");
		return 1;
	}
	/* Of a script itself the kernel heeds none of these. */
	why = privileges(program->path);
	program->privileged = why;
	if (!why)
		why = why_not_elf(image, room, sizeof(room));
	if (why)
		snprintf(program->why_not, sizeof(program->why_not), "%s", why);
	return 0;
}

int program_look(struct program *program, const char *name)
{
	struct image image = { NULL, 0 };
	int err, scripts = 0, again;

	program->path[0] = '\0';
	program->why_not[0] = '\0';
	program->privileged = false;
	err = find(name, program->file, sizeof(program->file));
	if (!err)
		strcpy(program->path, program->file);
	while (!err) {
		err = map_image(program->path, &image);
		if (err)
			break;
		again = look_at(program, &image);
		if (image.length)
			munmap((void *)image.bytes, image.length);
		if (!again)
			return 0;
		err = scripts++ < MAX_SCRIPTS ? check_file(program->path) : -ELOOP;
	}
	if (err == -EACCES && *program->path && !access(program->path, X_OK)) {
		snprintf(program->why_not, sizeof(program->why_not),
			 "cannot be read, so nobody knows how it is linked");
		return 0;
	}
	return err;
}
