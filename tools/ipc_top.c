/*
 * ipc_top - shows which rings are in shared memory, how full they are, and which process holds what.
 *
 *     ipc_top          ipc_top --once feed          ipc_top --json | jq
 *
 * Shows each segment of ipc_shm.h that this user may read: those in /dev/shm, nameless ones and
 * unlinked ones that a process of this user has open (all, for root), files that are named, and
 * System V segments of sysvshm: channels. For a segment it shows the processes that have it open, and
 * whether they are alive, stopped or dead; for a ring how full it is, messages a second, laps,
 * losses, readers and how far each is behind, sleepers, and which process holds which end, seat or
 * slot; for a ring that ipc_bridge carries, whether it does, and how many messages it has carried.
 * The memory does not say since when a process holds something: the time is that of the first look
 * that found the same hold, "or earlier" where no look came before.
 *
 * A process is alive, stopped or dead; elsewhere: it lives in another PID namespace, where its pid
 * counts; unproven: no such process is there, but what it left keeps its place; left: its place is
 * another's.
 *
 * "Sent" of MPMC, MPSC and SPMC counts slots, so it is about what was sent: a slot that was cancelled,
 * or that others left out as its holder was slow or killed, counts as well. "Full" counts slots that
 * are being written, and messages that were handed out again: those of a killed consumer, and those
 * that one gave back by detach.
 *
 * "Sleep for a moment": on the futex; "for
 * long": in poll, after 64 ms. Both are what a
 * sleeper has left in the memory, and stay until the next post, also when it was killed meanwhile. Of
 * calls the first number is that of slots: two for each caller, as one that gave up moves on.
 *
 * It maps memory without write access, takes no place in a segment, stops and wakes nobody, and
 * believes nothing of what it reads. What a consumer of a ring with one at an end has in hand is in
 * its own memory, and readers of lossy broadcasts leave no trace: neither is shown. A segment that
 * takes more than half a second of processor time is shown as far as it was read.
 *
 * Keys: up and down choose a ring, Enter shows all of its segment, q or Escape goes back, s sorts by
 * the next column, r the other way round, p pauses, q ends.
 *
 * Exit status: 0 it was shown; 1 an error here, or a segment that was named cannot be read; 2 wrong
 * usage.
 */
#include "top/top.h"

#include <err.h>
#include <getopt.h>

static const char usage[] =
    "usage: ipc_top [--once | --json | --prometheus] [-i SECONDS] [NAME...]\n"
    "Shows the rings in shared memory: all, or those of the segments of these names.\n"
    "  --once        print them as text; looks twice, to know what is sent in a second\n"
    "  --json        print them as JSON; looks twice\n"
    "  --prometheus  print figures for Prometheus, as its textfile collector reads them\n"
    "  -i SECONDS    time between two looks: 1, or 0.1 to 3600; 0: --once and --json look once\n"
    "  -h            print this, as --help does\n";

/* Says what is wrong, if getopt_long did not. */
static int usage_error(const char *why)
{
    if (why != NULL)
        warnx("%s", why);
    fputs(usage, stderr);
    return 2;
}

/* The time between two looks in seconds, or -1: it is none. */
static double read_interval(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    return end != text && *end == '\0' && (seconds == 0 || (seconds >= 0.1 && seconds <= 3600))
               ? seconds
               : -1;
}

/* Looks, twice where there is an interval, and prints it. The exit status. */
static int print(char **names, int how, double seconds)
{
    struct look *first = NULL, *look;
    struct timespec nap;
    int status = 0;
    size_t i;

    if (how != 'p' && seconds > 0) {
        first = look_at_segments(names, NULL);
        nap.tv_sec = (time_t)seconds;
        nap.tv_nsec = (long)((seconds - (double)nap.tv_sec) * 1e9);
        (void)nanosleep(&nap, NULL);
    }
    look = look_at_segments(names, first);
    if (how == 'o')
        print_text(stdout, look);
    else if (how == 'p')
        print_prometheus(stdout, look);
    else
        print_json(stdout, look);
    for (i = 0; *names != NULL && i < look->count; i++)
        status |= look->segments[i].rc != 0;
    if (fflush(stdout) != 0 || ferror(stdout))
        err(1, "cannot write");
    free_look(first);
    free_look(look);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"once", no_argument, NULL, 'o'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"prometheus", no_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    double seconds = 1;
    int option, how = 0;

    while ((option = getopt_long(argc, argv, "i:h", options, NULL)) != -1)
        switch (option) {
        case 'o':
        case 'j':
        case 'p':
            if (how != 0 && how != option)
                return usage_error("one of --once, --json and --prometheus at a time");
            how = option;
            break;
        case 'i':
            seconds = read_interval(optarg);
            if (seconds < 0)
                return usage_error("-i takes 0.1 to 3600 seconds, or 0");
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            return usage_error(NULL);
        }
    if (how != 0)
        return print(argv + optind, how, seconds);
    return seconds > 0 ? show_live(argv + optind, (int64_t)(seconds * 1e9))
                       : usage_error("-i 0 is for --once and --json");
}
