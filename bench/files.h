/* The files that a run of the benchmark writes: JSON and histograms. */
#ifndef BENCH_FILES_H
#define BENCH_FILES_H

#include <jansson.h>

/* Ends the program if this file cannot be written: before half an hour of measuring, not after. */
void files_check(const char *file);

/* All results, and the description of the machine, whose reference it takes. */
json_t *files_json(json_t *machine);

/* Writes one file of latencies for each case whose messages are timed one by one. */
void files_hgrm(const char *folder);

#endif
