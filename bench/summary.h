/* The short form of the results: a sentence, a small table, and what to type for more. */
#ifndef BENCH_SUMMARY_H
#define BENCH_SUMMARY_H

#include <jansson.h>

/* Prints what the usual cases show. Says so if the machine was not quiet. */
void summary_print(const json_t *machine);

#endif
