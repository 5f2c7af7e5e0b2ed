#include "systems.h"
#include <stddef.h>
#include <string.h>

#define LIMIT "limit"
#define OURS "ours"
#define KERNEL "kernel"
#define PEER "peer"
#define SYSTEM(KEY, FAMILY, NAME, BELOW) {KEY, NAME, FAMILY, BELOW},

static const struct system systems[] = {
#include "systems.def"
};

const struct system *system_find(const char *key)
{
    size_t i;

    for (i = 0; i < sizeof systems / sizeof systems[0]; i++)
        if (strcmp(systems[i].key, key) == 0)
            return &systems[i];
    return NULL;
}
