/* Processes, as /proc has them. */
#include "top.h"

#include <dirent.h>

/* Whatever a process calls itself, or a segment its objects: the terminal gets no control characters,
 * JSON no broken UTF-8, and two names that differ stay so where there is room for four times as much. */
void make_printable(char *to, size_t size, const char *from)
{
    char *end = to + size;

    for (; *from != '\0' && end - to > 4; from++)
        if (*from >= ' ' && *from < 0x7f && *from != '\\')
            *to++ = *from;
        else
            to += snprintf(to, 5, "\\x%02x", (unsigned char)*from);
    *to = '\0';
}

static ssize_t read_file(pid_t pid, const char *file, char *to, size_t size)
{
    char path[64];
    ssize_t n = -1;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, to, size - 1);
        (void)close(fd);
    }
    to[n > 0 ? n : 0] = '\0';
    return n;
}

struct process read_process(pid_t pid)
{
    struct process p = {pid, 0, ""};
    char text[512], *behind, *name;
    ssize_t n, i;

    if (pid <= 0 || read_file(pid, "stat", text, sizeof text) <= 0)
        return p;
    name = strchr(text, '(');
    behind = strrchr(text, ')');
    if (name == NULL || behind == NULL || behind < name || behind[1] != ' ')
        return p;
    p.state = behind[2];
    *behind = '\0';
    make_printable(p.command, sizeof p.command, name + 1);
    n = read_file(pid, "cmdline", text, sizeof text);
    for (i = 0; i + 1 < n; i++)
        text[i] = text[i] == '\0' ? ' ' : text[i];
    if (n > 1)
        make_printable(p.command, sizeof p.command, text);
    return p;
}

/* Is this what a link in /proc/PID/fd says of a segment that no name leads to? */
static int is_memory(const char *link)
{
    size_t n = strlen(link), end = strlen(" (deleted)");

    return strcmp(link, "/memfd:ipc_shm (deleted)") == 0 ||
           (strncmp(link, "/dev/shm/", 9) == 0 && n > end &&
            strcmp(link + n - end, " (deleted)") == 0);
}

void find_descriptors(void (*each)(void *arg, const char *path, const char *link), void *arg)
{
    DIR *all = opendir("/proc"), *one;
    struct dirent *e, *fd;
    char path[600], link[300];
    ssize_t n;

    while (all != NULL && (e = readdir(all)) != NULL) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9' || strtol(e->d_name, NULL, 10) == getpid())
            continue;
        (void)snprintf(path, sizeof path, "/proc/%s/fd", e->d_name);
        one = opendir(path);
        while (one != NULL && (fd = readdir(one)) != NULL) {
            n = readlinkat(dirfd(one), fd->d_name, link, sizeof link - 1);
            link[n > 0 ? n : 0] = '\0';
            (void)snprintf(path, sizeof path, "/proc/%s/fd/%s", e->d_name, fd->d_name);
            if (is_memory(link))
                each(arg, path, link);
        }
        if (one != NULL)
            (void)closedir(one);
    }
    if (all != NULL)
        (void)closedir(all);
}
