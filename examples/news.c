/*
 * news - one publisher, and any number of subscribers, each of which gets every line:
 *
 *     news -p URI < text    publishes its input, and waits for slow subscribers
 *     news -l URI < text    waits for none: they are told how many lines they missed
 *     news URI              a subscriber: prints what it gets until the publisher leaves
 *
 *     ring:news     auto:news     file:/tmp/news     -l: udp:239.1.2.3:9000, whose end is not told
 */
#include "ipc_channel.h"
#include <err.h>

static int publish(const char *uri, unsigned how_to)
{
    struct ipc_channel_options how;
    struct ipc_channel ch;
    char line[1000];

    memset(&how, 0, sizeof how);
    how.publish = how_to;
    if (ipc_channel_open_with(&ch, uri, IPC_SEND | IPC_LISTEN, IPC_NOW, &how) != 0)
        errx(1, "%s", ipc_channel_why(&ch));
    while (fgets(line, sizeof line, stdin) != NULL)
        if (ipc_channel_send(&ch, line, strcspn(line, "\n"), IPC_FOREVER) != 0)
            errx(1, "%s", ipc_channel_why(&ch));
    ipc_channel_close(&ch);
    return 0;
}

int main(int argc, char **argv)
{
    struct ipc_channel_facts facts;
    struct ipc_channel ch;
    char line[1000];
    int64_t n;

    if (argc == 3 && (strcmp(argv[1], "-p") == 0 || strcmp(argv[1], "-l") == 0))
        return publish(argv[2], argv[1][1] == 'p' ? IPC_LOSSLESS : IPC_LOSSY);
    if (argc != 2)
        errx(2, "usage: news -p URI | news -l URI | news URI");
    if (ipc_channel_open(&ch, argv[1], IPC_RECV, ipc_in_ms(5000)) != 0)
        errx(1, "%s", ipc_channel_why(&ch));
    while ((n = ipc_channel_recv(&ch, line, sizeof line, IPC_FOREVER)) >= 0 || n == -EOVERFLOW) {
        (void)ipc_channel_info(&ch, &facts);
        if (n < 0)
            printf("(%llu lines missed so far)\n", (unsigned long long)facts.missed);
        else
            printf("%.*s\n", (int)n, line);
        fflush(stdout);
    }
    if (n != -EPIPE)
        errx(1, "%s", ipc_channel_why(&ch));
    ipc_channel_close(&ch);
    return 0;
}
