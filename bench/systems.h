/* The measured systems: systems.def, for C. */
#ifndef BENCH_SYSTEMS_H
#define BENCH_SYSTEMS_H

struct system {
    const char *key;
    const char *name;   /* that people read */
    const char *family; /* "limit", "ours", "kernel" or "peer" */
    const char *below;  /* the bare mechanism that a channel is compared with, or NULL */
};

/* The system with this key, or NULL. */
const struct system *system_find(const char *key);

#endif
