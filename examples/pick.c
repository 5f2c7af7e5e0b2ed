/*
 * pick - a child sends messages of the types 1, 2 and 3; its parent picks that of one type first,
 * and then the others, the lowest type first:
 *
 *     pick sysv:42         pick sysv:42 3
 */
#include "ipc_channel.h"
#include <err.h>
#include <sys/wait.h>

static void send_all(const char *uri)
{
    static const char *const words[] = {"one", "two", "three"};
    struct ipc_channel ch;
    uint32_t i;

    if (ipc_channel_open(&ch, uri, IPC_SEND, ipc_in_ms(5000)) != 0)
        errx(1, "%s", ipc_channel_why(&ch));
    for (i = 0; i < 3; i++) {
        ch.priority = i + 1; /* over sysv: this is the type */
        if (ipc_channel_send(&ch, words[i], strlen(words[i]), ipc_in_ms(5000)) != 0)
            errx(1, "%s", ipc_channel_why(&ch));
    }
    ipc_channel_close(&ch);
}

int main(int argc, char **argv)
{
    int32_t type = argc > 2 ? (int32_t)strtol(argv[2], NULL, 10) : 2;
    struct ipc_channel_options how;
    struct ipc_channel ch;
    char text[100];
    int status = 1, i;

    if (argc < 2 || argc > 3 || type < 1 || type > 3)
        errx(2, "usage: pick sysv:KEY [TYPE, 1 to 3]");
    memset(&how, 0, sizeof how);
    how.select = type;
    if (ipc_channel_open_with(&ch, argv[1], IPC_RECV | IPC_LISTEN, IPC_NOW, &how) != 0)
        errx(1, "%s", ipc_channel_why(&ch)); /* over mq: it says that only sysv: has types */
    switch (fork()) {
    case -1:
        err(1, "fork");
    case 0:
        send_all(argv[1]);
        return 0;
    }
    for (i = 0; i < 3; i++) {
        int64_t n = ipc_channel_recv(&ch, text, sizeof text, ipc_in_ms(5000));

        if (n < 0)
            errx(1, "%s", n == -ETIMEDOUT ? "no such message came" : ipc_channel_why(&ch));
        printf("%u %.*s\n", ch.came, (int)n, text);
        ch.select = -3; /* from now on any type up to 3 */
        if (i == 0)
            (void)wait(&status); /* all of them are there now */
    }
    ipc_channel_close(&ch);
    (void)ipc_channel_unlink(argv[1]);
    return status != 0;
}
