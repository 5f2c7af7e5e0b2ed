#define _GNU_SOURCE
#include "machine.h"
#include "run.h"
#include <err.h>
#include <sys/utsname.h>
#include <time.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* The first line of a file, or NULL if there is no such file. */
static json_t *line_of(const char *format, int cpu)
{
    char name[128], line[128] = "";
    FILE *f;

    (void)snprintf(name, sizeof name, format, cpu);
    f = fopen(name, "r");
    if (f == NULL)
        return NULL;
    if (fgets(line, sizeof line, f) != NULL)
        line[strcspn(line, "\n")] = '\0';
    (void)fclose(f);
    return json_string(line);
}

/* The processor's name. Returns whether it is a virtual machine's. */
static int processor(char name[256])
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[4096];
    int guest = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        (void)sscanf(line, "model name : %255[^\n]", name);
        guest |= strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor") != NULL;
    }
    if (f != NULL)
        (void)fclose(f);
    return guest;
}

json_t *machine_json(int quick, unsigned seed)
{
    char cpu[256] = "unknown", when[32];
    int guest = processor(cpu);
    time_t now = time(NULL);
    struct tm utc;
    struct utsname u;
    json_t *about;

    (void)uname(&u);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    about = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:[ii], s:s, s:s, s:f, s:b, s:b, s:I}",
                      "cpu", cpu, "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "arch", u.machine,
                      "kernel", u.release, "compiler", COMPILER, "flags", BENCH_FLAGS, "ck",
                      CK_VERSION, "pinned", run_core[0], run_core[1], "commit", BENCH_COMMIT,
                      "date", when, "timer_ns", run_clock_ns(), "quick", quick, "hypervisor", guest,
                      "seed", (json_int_t)seed);
    if (about == NULL)
        errx(1, "the description of the machine is not valid UTF-8");
    /* These are left out where the system does not tell them. */
    (void)json_object_set_new(
        about, "governor",
        line_of("/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", run_core[0]));
    (void)json_object_set_new(about, "smt", line_of("/sys/devices/system/cpu/smt/control", 0));
    (void)json_object_set_new(
        about, "siblings",
        line_of("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", run_core[0]));
    return about;
}
