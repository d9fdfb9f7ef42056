# SPDX-License-Identifier: MIT
#
# A TSV as a table: each column as wide as its widest field.

{
	for (i = 1; i <= NF; i++) {
		field[NR, i] = $i
		if (length($i) > width[i])
			width[i] = length($i)
	}
	columns = NF > columns ? NF : columns
}

END {
	for (row = 1; row <= NR; row++) {
		line = ""
		for (i = 1; i <= columns; i++)
			line = line sprintf(i == 1 || i == 4 ? "%-*s  " : "%*s  ", width[i], field[row, i])
		sub(/ +$/, "", line)
		print line
	}
}
