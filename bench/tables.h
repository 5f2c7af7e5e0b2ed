/* The tables that a person reads. */
#ifndef BENCH_TABLES_H
#define BENCH_TABLES_H

#include <jansson.h>

/* Prints the machine and a table of each test. */
void tables_print(const json_t *machine);

#endif
