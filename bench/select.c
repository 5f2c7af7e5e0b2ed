/*
 * Names are of three kinds: systems, tests and sizes. A case is selected if a name of each kind that
 * is given fits. A test's limits are measured with it. What is not a list of names is a regular
 * expression.
 */
#define _GNU_SOURCE
#include "select.h"
#include "groups.h"
#include "results.h"
#include "systems.h"
#include <ctype.h>
#include <err.h>
#include <regex.h>
#include <stdlib.h>

enum kind { SYSTEM, TEST, SIZE, KINDS };

/* What people call a test. */
static const char *const called[][2] = {
    {"throughput", "stream"}, {"rate", "stream"},    {"roundtrip", "pingpong"},
    {"trip", "pingpong"},     {"bursts", "burst"},   {"oneway", "latency"},
    {"waking", "wake"},       {"post", "post_idle"}, {"asleep", "idle"},
};

/* Are the words the same but for case, spaces and signs, and for an s at the end of the first? */
static int same(const char *word, const char *name)
{
    for (;; word++, name++) {
        while (*word != '\0' && !isalnum((unsigned char)*word))
            word++;
        while (*name != '\0' && !isalnum((unsigned char)*name))
            name++;
        if (*word == '\0' || tolower((unsigned char)*word) != tolower((unsigned char)*name))
            return *name == '\0' && (*word == '\0' || strcmp(word, "s") == 0);
    }
}

/* A system is called by its key, by that without "ipc_" and "_stream", by its name in the tables or
 * the first word of that, or by its family. */
static int is_system(const char *word, const struct bench_case *c)
{
    const struct system *s = system_find(c->system);
    char first[64];

    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(s->name, " ,:"), s->name);
    return same(word, s->key) || same(word, s->name) || same(word, s->family) ||
           (strcmp(s->family, "kernel") == 0 && same(word, first)) ||
           (strncmp(s->key, "ipc_", 4) == 0 && same(word, s->key + 4));
}

static int is_test(const char *word, const struct bench_case *c)
{
    size_t i;

    for (i = 0; i < sizeof called / sizeof called[0]; i++)
        if (same(word, called[i][0]) && strcmp(called[i][1], c->test) == 0)
            return 1;
    return same(word, c->test);
}

static int is_size(const char *word, const struct bench_case *c)
{
    char *unit;
    unsigned long long n = strtoull(word, &unit, 10);

    if (unit == word)
        return 0;
    n <<= same(unit, "k") || same(unit, "KiB") ? 10 : same(unit, "m") || same(unit, "MiB") ? 20 : 0;
    return n == c->bytes && (*unit == '\0' || same(unit, "B") || n > strtoull(word, NULL, 10));
}

static int is_kind(enum kind kind, const char *word, const struct bench_case *c)
{
    return kind == SYSTEM ? is_system(word, c) : kind == TEST ? is_test(word, c) : is_size(word, c);
}

/* Which kind of name a word is; KINDS: of none. */
static enum kind kind_of(const char *word)
{
    const struct bench_case *c;
    int kind;
    size_t g;

    for (kind = 0; kind < KINDS; kind++)
        for (g = 0; (c = group_cases(g)) != NULL; g++)
            for (; c->system != NULL; c++)
                if (is_kind((enum kind)kind, word, c))
                    return (enum kind)kind;
    return KINDS;
}

static int is_limit(const struct bench_case *c)
{
    return strcmp(system_find(c->system)->family, "limit") == 0;
}

enum { WORDS = 32 };

/* What --only selects. */
struct selection {
    char *word[WORDS];
    enum kind kind[WORDS];
    int words; /* 0: it is an expression */
    regex_t expression;
};

static void read_selection(const char *only, struct selection *s)
{
    static char text[1024];
    char *rest = text, *word;

    s->words = 0;
    if (regcomp(&s->expression, only, REG_EXTENDED | REG_NOSUB) != 0)
        errx(2, "--only '%s' is neither a list of names nor an extended regular expression", only);
    (void)snprintf(text, sizeof text, "%s", only);
    while ((word = strsep(&rest, ",")) != NULL) {
        enum kind kind = s->words < WORDS && *word != '\0' ? kind_of(word) : KINDS;

        if (kind == KINDS && (s->words > 0 || rest != NULL) && strpbrk(only, "^$*|[(\\") == NULL)
            errx(2, "--only: '%s' is no system, test or size: see --full --list", word);
        if (kind == KINDS)
            return;
        s->word[s->words] = word;
        s->kind[s->words++] = kind;
    }
}

static int fits(const struct selection *s, const struct bench_case *c)
{
    int given[KINDS] = {0}, found[KINDS] = {0}, i;
    char name[128];

    bench_case_name(c, name, sizeof name);
    if (s->words == 0)
        return regexec(&s->expression, name, 0, NULL, 0) == 0;
    for (i = 0; i < s->words; i++) {
        given[s->kind[i]] = 1;
        found[s->kind[i]] |= is_kind(s->kind[i], s->word[i], c);
    }
    found[SYSTEM] |= is_limit(c) && c->usual;
    return (found[SYSTEM] || !given[SYSTEM]) && (found[TEST] || !given[TEST]) &&
           (found[SIZE] || !given[SIZE]);
}

static void add_fitting(const struct selection *s, int full)
{
    const struct bench_case *c;
    size_t g;

    for (g = 0; (c = group_cases(g)) != NULL; g++)
        for (; c->system != NULL; c++)
            if ((full || c->usual) && (s == NULL || fits(s, c)))
                results_add(c);
}

/* Are only limits selected, which come with every test? */
static int only_limits(void)
{
    int i;

    for (i = 0; i < results_count; i++)
        if (!is_limit(results[i].of))
            return 0;
    return 1;
}

void select_cases(const char *only, int full, int list)
{
    struct selection s;
    char name[128];
    int i;

    if (only != NULL)
        read_selection(only, &s);
    add_fitting(only != NULL ? &s : NULL, full);
    if (only_limits() && !full && only != NULL) {
        results_count = 0;
        add_fitting(&s, 1);
    }
    if (only != NULL)
        regfree(&s.expression);
    if (results_count == 0)
        errx(2, "--only '%s' matches nothing: see --full --list", only);
    for (i = 0; i < results_count && list; i += DISTANCES) {
        bench_case_name(results[i].of, name, sizeof name);
        puts(name);
    }
}
