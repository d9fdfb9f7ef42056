// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The symbol that is nearest below an address, of the ELF file that is mapped there. The
 * file is the searched process's, so nothing in it is believed without a look at where it
 * ends.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "scan.h"

/* The file that was asked for last stays. */
static struct {
	uint64_t inode;
	const unsigned char *bytes;
	size_t length;
} image;

static const void *part(uint64_t offset, uint64_t length)
{
	if (offset > image.length || length > image.length - offset)
		return NULL;
	return image.bytes + offset;
}

static bool load(const struct scan *scan, const struct map *map)
{
	char path[4200];
	struct stat st;
	void *bytes;
	int fd;

	if (image.bytes && image.inode == map->inode)
		return true;
	if (image.bytes)
		munmap((void *)image.bytes, image.length);
	image.bytes = NULL;
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)scan->pid, map->name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == map->inode &&
	    st.st_size) {
		bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes != MAP_FAILED) {
			image.bytes = bytes;
			image.length = (size_t)st.st_size;
			image.inode = map->inode;
		}
	}
	close(fd);
	return image.bytes;
}

/* The address in the file's own terms; false if no segment of it reaches there. */
static bool own_address(const Elf64_Ehdr *header, const struct map *map, uint64_t address,
			uint64_t *own)
{
	const Elf64_Phdr *segments, *found = NULL;
	uint64_t offset = address - map->start + map->offset;
	size_t i;

	/* Two segments may have a page of the file in common: the later one begins there. */
	segments = part(header->e_phoff, (uint64_t)header->e_phnum * sizeof(*segments));
	for (i = 0; segments && i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];

		if (segment->p_type == PT_LOAD &&
		    map->offset >= (segment->p_offset & ~4095ULL) &&
		    !(segment->p_flags & PF_X) == (map->rights[2] != 'x') &&
		    (segment->p_flags & PF_W || map->rights[1] != 'w'))
			found = segment;
	}
	if (!found ||
	    (offset >= found->p_offset && offset - found->p_offset >= found->p_memsz))
		return false;
	*own = found->p_vaddr + (offset - found->p_offset);
	return true;
}

/* Of one table: the name that it is behind, and by how much. */
static const char *nearest(const Elf64_Shdr *table, const Elf64_Shdr *names, uint64_t own,
			   uint64_t *behind)
{
	const Elf64_Sym *symbols = part(table->sh_offset, table->sh_size);
	const char *text = part(names->sh_offset, names->sh_size), *name = NULL;
	size_t i, n = table->sh_size / sizeof(*symbols);

	if (!symbols || !text || !names->sh_size || text[names->sh_size - 1])
		return NULL;
	for (i = 0; i < n; i++) {
		const Elf64_Sym *symbol = &symbols[i];
		unsigned int type = ELF64_ST_TYPE(symbol->st_info);

		if ((type != STT_OBJECT && type != STT_FUNC && type != STT_GNU_IFUNC &&
		     type != STT_NOTYPE) ||
		    symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE ||
		    symbol->st_value > own || symbol->st_name >= names->sh_size ||
		    !text[symbol->st_name])
			continue;
		/* One that has no length is better than none; of two, the nearer is. */
		if (symbol->st_size ? own - symbol->st_value >= symbol->st_size :
				      name != NULL)
			continue;
		if (name && own - symbol->st_value > *behind)
			continue;
		*behind = own - symbol->st_value;
		name = text + symbol->st_name;
	}
	return name;
}

bool symbol_find(const struct scan *scan, const struct map *map, uint64_t address,
		 char *symbol, size_t room, uint64_t *offset)
{
	static const Elf64_Word kinds[] = { SHT_SYMTAB, SHT_DYNSYM };
	const Elf64_Shdr *sections;
	const Elf64_Ehdr *header;
	const char *name = NULL;
	uint64_t own, behind = 0;
	size_t i, kind;

	if (!load(scan, map))
		return false;
	header = part(0, sizeof(*header));
	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    !own_address(header, map, address, &own))
		return false;
	sections = part(header->e_shoff, (uint64_t)header->e_shnum * sizeof(*sections));
	for (kind = 0; sections && !name && kind < 2; kind++)
		for (i = 0; !name && i < header->e_shnum; i++)
			if (sections[i].sh_type == kinds[kind] &&
			    sections[i].sh_link < header->e_shnum)
				name = nearest(&sections[i],
					       &sections[sections[i].sh_link], own,
					       &behind);
	if (!name)
		return false;
	escape(symbol, room, name);
	*offset = behind;
	return true;
}
