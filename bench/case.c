#include "case.h"
#include <stdio.h>

void bench_case_name(const struct bench_case *c, char *name, size_t size)
{
    (void)snprintf(name, size, "%s/%s/%s/%llu", c->system, c->test, c->shape,
                   (unsigned long long)c->bytes);
}

unsigned bench_processes(const struct bench_case *c)
{
    if (c->producers > 0)
        return c->producers + c->consumers + c->held;
    return 1 + (c->readers > 0 ? c->readers : 1);
}

static int is_stream(const struct bench_case *c)
{
    return strcmp(c->test, "stream") == 0 || strcmp(c->test, "growth") == 0;
}

int bench_is_rate(const struct bench_case *c)
{
    return is_stream(c) || strcmp(c->test, "many") == 0;
}

int bench_has_windows(const struct bench_case *c)
{
    return is_stream(c) || strcmp(c->test, "post_idle") == 0 || bench_is_round_trip(c);
}

int bench_is_round_trip(const struct bench_case *c)
{
    return strcmp(c->test, "pingpong") == 0 || strcmp(c->test, "wake") == 0;
}

int bench_is_recovery(const struct bench_case *c)
{
    return strcmp(c->test, "recover") == 0;
}

int bench_is_attach(const struct bench_case *c)
{
    return strcmp(c->test, "attach") == 0;
}
