#define _GNU_SOURCE
#include "files.h"
#include "results.h"
#include "systems.h"
#include <err.h>

void files_check(const char *file)
{
    FILE *f = fopen(file, "a");

    if (f == NULL || fclose(f) != 0)
        errx(1, "cannot write %s: is its folder there, and writable?", file);
}

static json_t *percentiles(const struct histogram *h)
{
    json_t *all = json_object();
    char name[16];
    int i;

    for (i = 0; i < PERCENTS; i++) {
        (void)snprintf(name, sizeof name, "%g", results_percents[i]);
        json_object_set_new(all, name,
                            json_integer((json_int_t)histogram_at(h, results_percents[i])));
    }
    json_object_set_new(all, "max", json_integer((json_int_t)h->max));
    json_object_set_new(all, "samples", json_integer((json_int_t)h->total));
    return all;
}

static json_t *one_result(const struct result *x)
{
    static const char *const waits[] = {"spin", "adaptive", "sleep"}; /* of enum bench_wait */
    const struct bench_case *c = x->of;
    unsigned producers = c->producers > 0 ? c->producers : 1;
    json_t *values = json_array(), *rounds = json_array(), *one;
    int k;

    for (k = 0; k < x->runs; k++) {
        json_array_append_new(values, json_real(x->value[k]));
        json_array_append_new(rounds, json_integer(x->round[k]));
    }
    one = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:i, s:i, s:b, s:s, s:s, s:s, s:f, s:f, s:f, s:i, s:o, s:o}",
        "system", c->system, "test", c->test, "shape", c->shape, "bytes", (json_int_t)c->bytes,
        "state", distance_names[x->state], "producers", (int)producers, "consumers",
        (int)(bench_processes(c) - c->held - producers), "threads", c->threads, "role",
        system_find(c->system)->family, "wait", waits[c->wait], "unit", results_test(c)->unit,
        "median", x->median, "min", x->min, "max", x->max, "runs", x->runs, "rounds", rounds,
        "values", values);
    if (c->readers > 0) {
        json_object_set_new(one, "reader", json_real(x->reader));
        json_object_set_new(one, "missed", json_real(x->misses));
    }
    if (results_has_cpu(c) && x->cpu_ns > 0)
        json_object_set_new(one, "cpu_ns", json_real(x->cpu_ns));
    if (results_leaves_out(c))
        json_object_set_new(one, "left_out", json_real(x->left));
    if (bench_is_recovery(c)) {
        json_object_set_new(one, "never", json_boolean(x->median >= BENCH_NEVER));
        json_object_set_new(one, "lost", json_real(x->misses));
    }
    if (c->rate > 0)
        json_object_set_new(one, "rate", json_integer(c->rate));
    if (x->latencies != NULL && x->latencies->total > 0)
        json_object_set_new(one, "percentiles", percentiles(x->latencies));
    return one;
}

json_t *files_json(json_t *machine)
{
    json_t *all = json_array(), *root;
    int i;

    for (i = 0; i < results_count; i++)
        json_array_append_new(all, one_result(&results[i]));
    root = json_pack("{s:o, s:o}", "machine", machine, "results", all);
    if (root == NULL)
        errx(1, "the results do not fit a JSON");
    return root;
}

void files_hgrm(const char *folder)
{
    int i;

    for (i = 0; i < results_count; i++) {
        const struct bench_case *c = results[i].of;
        char name[4096];
        FILE *f;

        if (results[i].latencies == NULL || results[i].latencies->total == 0)
            continue;
        (void)snprintf(name, sizeof name, "%s/%s-%s-%s-%llu-%s.hgrm", folder, c->system, c->test,
                       c->shape, (unsigned long long)c->bytes, distance_names[results[i].state]);
        f = fopen(name, "w");
        if (f == NULL || histogram_write(results[i].latencies, f) != 0 || fclose(f) != 0)
            err(1, "cannot write %s", name);
    }
}
