/* What changed from one file of results to another. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include <jansson.h>

/* The results of a file that --json or `make results` wrote. Ends the program with status 2 if it
 * is not such a file. The caller owns them. */
json_t *compare_load(const char *file);

/* Prints the machines and every case whose figure changed. */
void compare_print(const json_t *before, const json_t *after);

#endif
