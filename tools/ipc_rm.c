/*
 * ipc_rm - removes segments in shared memory that only dead processes have.
 *
 *     ipc_rm feed          ipc_rm -n -a          ipc_rm sysvshm:7
 *
 * A segment outlives its processes on purpose, and the next start takes it over; this is for what
 * has no next start. A segment that a live process has, also one that is stopped, stays, and no
 * process comes to use it while it is removed. A process that has it open read-only is not asked,
 * and keeps what it has. Of files only segments are removed. Root removes those of all users, by
 * name.
 *
 * Exit status: 0 all of them are removed, or with -n can be; 1 one is in use, is none, or cannot be
 * removed; 2 wrong usage.
 */
#define _GNU_SOURCE
#include "ipc_channel.h"

#include <dirent.h>
#include <err.h>
#include <getopt.h>

static const char usage[] = "usage: ipc_rm [-n] NAME...\n"
                            "       ipc_rm [-n] -a\n"
                            "Removes the segments of these names that no live process has: names in "
                            "/dev/shm, paths of files, sysvshm:KEY.\n"
                            "  -a  all of this user in /dev/shm that a killed process has left\n"
                            "  -n  only print what would be removed\n"
                            "  -h  print this, as --help does\n";

static int only_prints;

/* What a segment's places say. */
struct who {
    unsigned alive, dead;
    long pid; /* of one that is alive; 0: it is not known here */
};

static struct who count_members(struct ipc_shm *seg)
{
    struct who who = {0, 0, 0};
    struct ipc_shm_member m;
    unsigned i;

    for (i = 0; i < seg->members; i++) {
        if (ipc_shm_who(seg, i, &m) != 0)
            continue;
        if (m.alive && m.here)
            who.pid = m.pid;
        who.alive += m.alive != 0;
        who.dead += m.alive == 0;
    }
    return who;
}

static int is_in_use(const char *name, const struct who *who)
{
    if (who->pid != 0)
        warnx("%s: in use by pid %ld%s: end it first", name, who->pid,
              who->alive > 1 ? ", and others" : "");
    else
        warnx("%s: in use by a process of another PID namespace: end it first", name);
    return 1;
}

/* Whose segments may be removed: the caller's; and, if that is root, those of the user who has it. */
static struct ipc_shm_options options_for(const char *name)
{
    struct ipc_shm_options how = IPC_SHM_DEFAULTS;
    char path[PATH_MAX];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s%s", strchr(name, '/') != NULL ? "" : "/dev/shm/", name);
    how.mode = 07777;
    if (geteuid() == 0 && lstat(path, &st) == 0)
        how.owner = st.st_uid;
    return how;
}

/* Removes the segment of that name. `all`: if a killed process has left it, and says nothing where
 * it is not to be removed. 0, or 1. */
static int remove_segment(const char *name, int all)
{
    struct ipc_shm_options how = all ? (struct ipc_shm_options)IPC_SHM_DEFAULTS : options_for(name);
    struct ipc_shm_options reads = how;
    struct ipc_shm seg;
    struct who who;
    int rc;

    reads.flags = IPC_SHM_READ_ONLY | IPC_SHM_NO_PREFAULT | IPC_SHM_TORN;
    reads.mode = how.mode = 07777;
    rc = ipc_shm_open_with(&seg, name, IPC_NOW, &reads);
    if (rc != 0) {
        if (!all)
            warnx("%s: %s", name, ipc_shm_why(&seg));
        return !all;
    }
    who = count_members(&seg);
    ipc_shm_close(&seg);
    if (all && (who.alive > 0 || who.dead == 0))
        return 0;
    if (who.alive > 0)
        return is_in_use(name, &who);
    if (!only_prints)
        rc = ipc_shm_unlink_dead(&seg, name, &how);
    if (rc == 0)
        printf("%s%s\n", only_prints ? "would remove " : "removed ", name);
    else
        warnx("%s: %s", name, ipc_shm_why(&seg));
    return rc != 0;
}

static int remove_sysv(const char *uri)
{
    char *end;
    unsigned long key = strtoul(uri + strlen("sysvshm:"), &end, 0);
    struct shmid_ds is;
    int id, rc;

    if (end == uri + strlen("sysvshm:") || *end != '\0' || key == 0) {
        warnx("%s: not a key", uri);
        return 1;
    }
    id = shmget((key_t)key, 0, 0);
    if (id < 0 || shmctl(id, IPC_STAT, &is) != 0) {
        warn("%s", uri);
        return 1;
    }
    if (is.shm_nattch > 0) {
        warnx("%s: in use by %lu processes, last by pid %ld: end them first", uri,
              (unsigned long)is.shm_nattch, (long)is.shm_lpid);
        return 1;
    }
    rc = only_prints ? 0 : ipc_channel_unlink(uri);
    if (rc == 0)
        printf("%s%s\n", only_prints ? "would remove " : "removed ", uri);
    else
        warnx("%s: %s", uri, rc == -EPROTO ? "not a segment of sysvshm:" : strerror(-rc));
    return rc != 0;
}

static int remove_all(void)
{
    struct dirent *e;
    DIR *d = opendir("/dev/shm");
    int status = 0;

    if (d == NULL)
        err(1, "/dev/shm");
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            status |= remove_segment(e->d_name, 1);
    (void)closedir(d);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option, all = 0, status = 0;

    while ((option = getopt_long(argc, argv, "anh", options, NULL)) != -1)
        switch (option) {
        case 'a':
            all = 1;
            break;
        case 'n':
            only_prints = 1;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    if (all == (optind < argc)) {
        warnx(all ? "-a takes no names" : "no name, and no -a");
        fputs(usage, stderr);
        return 2;
    }
    if (all)
        status = remove_all();
    for (; optind < argc; optind++)
        status |= strncmp(argv[optind], "sysvshm:", 8) == 0 ? remove_sysv(argv[optind])
                                                            : remove_segment(argv[optind], 0);
    if (fflush(stdout) != 0 || ferror(stdout))
        err(1, "cannot write");
    return status;
}
