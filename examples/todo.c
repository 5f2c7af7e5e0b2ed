/*
 * todo - work by priority, over a POSIX or a System V message queue:
 *
 *     todo mq:work add 5 'water the plants'      todo sysv:42 add 5 'water the plants'
 *     todo mq:work do                            the most urgent first: 9 before 0
 *
 * A POSIX queue returns the highest priority first. A System V queue returns the lowest type up to
 * a given one, so there the type is 10 minus the priority. The queue outlives both programs; `todo
 * URI clear` removes it.
 */
#include "ipc_channel.h"
#include <err.h>

int main(int argc, char **argv)
{
    int sysv = argc > 1 && strncmp(argv[1], "sysv:", 5) == 0, rc;
    const char *what = argc > 2 ? argv[2] : "";
    struct ipc_channel_options how;
    struct ipc_channel ch;
    char text[1000];
    int64_t n;

    memset(&how, 0, sizeof how);
    if (strcmp(what, "clear") == 0)
        return (rc = ipc_channel_unlink(argv[1])) != 0 && rc != -ENOENT;
    if (strcmp(what, "add") == 0 && argc == 5 && strlen(argv[3]) == 1 && strlen(argv[4]) < 1000) {
        how.priority = (uint32_t)(sysv ? 10 - (*argv[3] - '0') : *argv[3] - '0');
        /* The first program makes the queue. */
        if (ipc_channel_open_with(&ch, argv[1], IPC_SEND | IPC_LISTEN, IPC_NOW, &how) != 0 ||
            (rc = ipc_channel_send(&ch, argv[4], strlen(argv[4]), IPC_NOW)) != 0)
            errx(1, "%s", *ipc_channel_why(&ch) != '\0' ? ipc_channel_why(&ch) : "too much to do");
    } else if (strcmp(what, "do") == 0 && argc == 3) {
        how.select = sysv ? -10 : 0;
        if (ipc_channel_open_with(&ch, argv[1], IPC_RECV | IPC_LISTEN, IPC_NOW, &how) != 0)
            errx(1, "%s", ipc_channel_why(&ch));
        while ((n = ipc_channel_recv(&ch, text, sizeof text, IPC_NOW)) >= 0)
            printf("%u %.*s\n", sysv ? 10 - ch.came : ch.came, (int)n, text);
        if (n != -ETIMEDOUT)
            errx(1, "%s", ipc_channel_why(&ch));
    } else {
        errx(2, "usage: todo URI add 0..9 TEXT | todo URI do | todo URI clear");
    }
    ipc_channel_close(&ch);
    return 0;
}
