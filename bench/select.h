/* Which cases are measured. */
#ifndef BENCH_SELECT_H
#define BENCH_SELECT_H

/* Adds the cases to the results: the usual ones, or all with `full`. only: NULL, or names or an
 * expression as in --only; if no usual case is among those, all cases are searched. Ends the program
 * with status 2 if there are none. list: also prints their names. */
void select_cases(const char *only, int full, int list);

#endif
