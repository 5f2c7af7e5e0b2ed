/*
 * A figure counts as changed if the values of the runs are ranked so differently that chance does
 * it less than once in a thousand times, by Mann-Whitney's test. The test assumes no distribution,
 * and an outlier counts as one run. Of some 500 unchanged cases hardly one is reported. Fewer than
 * seven runs on each side cannot show a change.
 */
#include "compare.h"
#include "statistics.h"
#include <err.h>
#include <string.h>

#define CHANCE 0.001

static const char *text(const json_t *of, const char *key)
{
    const char *s = json_string_value(json_object_get(of, key));

    return s != NULL ? s : "";
}

static int is_case(const json_t *x)
{
    const json_t *values = json_object_get(x, "values"), *v;
    size_t i;

    json_array_foreach(values, i, v) if (!json_is_number(v)) return 0;
    return json_is_string(json_object_get(x, "system")) &&
           json_is_string(json_object_get(x, "test")) &&
           json_is_string(json_object_get(x, "shape")) &&
           json_is_integer(json_object_get(x, "bytes")) &&
           json_is_string(json_object_get(x, "unit")) && json_array_size(values) > 0 &&
           json_array_size(values) <= STATISTICS_VALUES &&
           json_is_number(json_object_get(x, "median"));
}

/* Adds the further parts of results that `make results` has kept: x-2.json, x-3.json ... beside
 * x.json. */
static void add_parts(const char *file, json_t *all)
{
    size_t stem = strlen(file), i;
    char name[4096];
    json_t *part;

    stem -= stem > 5 && strcmp(file + stem - 5, ".json") == 0 ? 5 : 0;
    for (i = 2; i < 100; i++) {
        (void)snprintf(name, sizeof name, "%.*s-%zu.json", (int)stem, file, i);
        part = json_load_file(name, 0, NULL);
        if (part == NULL)
            return;
        (void)json_array_extend(all, json_object_get(part, "results"));
        json_decref(part);
    }
}

json_t *compare_load(const char *file)
{
    json_error_t e;
    json_t *root = json_load_file(file, 0, &e), *all = json_object_get(root, "results");
    const json_t *x;
    size_t i;

    if (root == NULL)
        errx(2, "%s: %s", file, e.text);
    if (!json_is_object(json_object_get(root, "machine")) || !json_is_array(all))
        errx(2, "%s was not written by ipc_bench --json", file);
    add_parts(file, all);
    json_array_foreach(all, i, x) if (!is_case(x))
        errx(2, "%s: result %zu lacks a field, or the values of its runs: another version wrote it",
             file, i);
    return root;
}

static const json_t *same_case(const json_t *all, const json_t *x)
{
    const json_t *y;
    size_t i;

    json_array_foreach(all, i, y) if (strcmp(text(x, "system"), text(y, "system")) == 0 &&
                                      strcmp(text(x, "test"), text(y, "test")) == 0 &&
                                      strcmp(text(x, "shape"), text(y, "shape")) == 0 &&
                                      strcmp(text(x, "state"), text(y, "state")) == 0 &&
                                      json_integer_value(json_object_get(x, "bytes")) ==
                                          json_integer_value(json_object_get(y, "bytes"))) return y;
    return NULL;
}

static int is_changed(const json_t *before, const json_t *after)
{
    const json_t *a = json_object_get(before, "values"), *b = json_object_get(after, "values"), *x,
                 *y;
    size_t i, k;
    double u = 0;

    json_array_foreach(a, i, x) json_array_foreach(b, k, y)
    {
        double d = json_number_value(x) - json_number_value(y);

        u += d > 0 ? 1 : d == 0 ? 0.5 : 0;
    }
    return statistics_chance(json_array_size(a), json_array_size(b), u) < CHANCE;
}

static const json_t *noise(const json_t *root)
{
    return json_object_get(json_object_get(root, "machine"), "noise");
}

/* Of a file that was written before the distance of the cores was looked at in each run. */
static int has_no_states(const json_t *root)
{
    return json_array_size(json_object_get(root, "results")) > 0 &&
           *text(json_array_get(json_object_get(root, "results"), 0), "state") == '\0';
}

static void print_machines(const json_t *before, const json_t *after)
{
    static const char *const keys[] = {"cpu",   "arch", "kernel",   "compiler",
                                       "flags", "ck",   "governor", "smt"};
    const json_t *a = json_object_get(before, "machine"), *b = json_object_get(after, "machine");
    size_t i, differ = 0;

    printf("from %s, commit %s, to %s, commit %s\n", text(a, "date"), text(a, "commit"),
           text(b, "date"), text(b, "commit"));
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(text(a, keys[i]), text(b, keys[i])) != 0)
            printf("%s%s %s / %s", differ++ == 0 ? "not the same: " : "; ", keys[i],
                   text(a, keys[i]), text(b, keys[i]));
    printf("%s", differ > 0 ? "\n" : "");
    if (json_is_false(json_object_get(noise(before), "ok")) ||
        json_is_false(json_object_get(noise(after), "ok")))
        printf("a machine was not quiet: see \"noise\" in the files\n");
    if (has_no_states(before) != has_no_states(after))
        printf(
            "one of the files does not tell whether the cores were near or far: nothing in it is "
            "compared with the other\n");
}

void compare_print(const json_t *before, const json_t *after)
{
    const json_t *old = json_object_get(before, "results");
    const json_t *new = json_object_get(after, "results"), *x;
    size_t i, better = 0, worse = 0, same = 0, missing = 0;

    print_machines(before, after);
    json_array_foreach(old, i, x)
    {
        const json_t *y = same_case(new, x);
        const char *unit = text(x, "unit");
        double from = json_number_value(json_object_get(x, "median")), to;
        int good;

        if (y == NULL || !is_changed(x, y)) {
            missing += y == NULL;
            same += y != NULL;
            continue;
        }
        to = json_number_value(json_object_get(y, "median"));
        good = (to > from) == (strcmp(unit, "msg/s") == 0);
        better += good != 0;
        worse += !good;
        printf("%-6s %6.2f  %12.6g -> %12.6g %-5s  %s/%s/%s/%lld %s\n", good ? "better" : "worse",
               to / from, from, to, unit, text(x, "system"), text(x, "test"), text(x, "shape"),
               (long long)json_integer_value(json_object_get(x, "bytes")), text(x, "state"));
    }
    printf("%zu better, %zu worse, %zu unchanged within their spread; %zu only before, %zu only "
           "after\n",
           better, worse, same, missing, json_array_size(new) - better - worse - same);
}
