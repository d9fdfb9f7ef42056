// SPDX-License-Identifier: MIT
/* sqlite: a database in memory with thousands of rows, an index and a query. */
#include "libs.h"

#ifdef HAVE_sqlite3
#include <sqlite3.h>
#include <stdio.h>

static bool fill(sqlite3 *db)
{
	sqlite3_stmt *insert = NULL;
	bool good = sqlite3_prepare_v2(db, "insert into t values (?, ?)", -1, &insert,
				       NULL) == SQLITE_OK;
	char name[32];
	int i;

	for (i = 0; good && i < 3000; i++) {
		snprintf(name, sizeof(name), "name %d", i * 7919 % 3001);
		good = sqlite3_bind_int(insert, 1, i) == SQLITE_OK &&
		       sqlite3_bind_text(insert, 2, name, -1, SQLITE_TRANSIENT) ==
			       SQLITE_OK &&
		       sqlite3_step(insert) == SQLITE_DONE &&
		       sqlite3_reset(insert) == SQLITE_OK;
	}
	return sqlite3_finalize(insert) == SQLITE_OK && good;
}

static void use_sqlite(struct use *use)
{
	sqlite3_stmt *query = NULL;
	sqlite3 *db = NULL;
	char *text = NULL;

	use->good = sqlite3_open(":memory:", &db) == SQLITE_OK &&
		    sqlite3_exec(db,
				 "create table t (id integer primary key, name text);"
				 "create index names on t (name); begin",
				 NULL, NULL, NULL) == SQLITE_OK &&
		    fill(db) &&
		    sqlite3_exec(db, "commit", NULL, NULL, NULL) == SQLITE_OK &&
		    sqlite3_prepare_v2(db,
				       "select sum(id), count(distinct name), max(name), "
				       "upper(group_concat(name)) from t order by name",
				       -1, &query, NULL) == SQLITE_OK &&
		    sqlite3_step(query) == SQLITE_ROW &&
		    sqlite3_column_int(query, 0) == 2999 * 3000 / 2 &&
		    sqlite3_column_int(query, 1) == 3000;
	if (use->good) {
		text = sqlite3_mprintf("%s of %d", sqlite3_column_text(query, 2),
				       sqlite3_column_int(query, 1));
		memcpy(use->result, text, strlen(text) + 1);
		use->good = !strcmp(text, "name 999 of 3000");
		use->objects[3] = (void *)sqlite3_column_text(query, 3);
	}
	use->objects[0] = db;
	use->objects[1] = query;
	use->objects[2] = text;
}

static void close_sqlite(struct use *use)
{
	sqlite3_finalize(use->objects[1]);
	sqlite3_free(use->objects[2]);
	sqlite3_close(use->objects[0]);
}

Test(libs, sqlite)
{
	check_library(&(struct library){ "sqlite", use_sqlite, close_sqlite });
}

#else
WITHOUT("sqlite", sqlite)
#endif
