/* What is known of the machine, the compiler and the build. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <jansson.h>

/* The description, for the JSON and the tables. The caller owns it. */
json_t *machine_json(int quick, unsigned seed);

#endif
