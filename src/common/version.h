/* The version of all headers, which must be the same, and not that of what is in memory:
 * IPC_RING_LAYOUT and IPC_SHM_LAYOUT. */
#if defined(IPC_RING_VERSION_NUMBER) && IPC_RING_VERSION_NUMBER != 900
#error "two ipc_*.h of different versions: copy all of them from one release"
#endif
#ifndef IPC_RING_VERSION
#define IPC_RING_VERSION "0.9.0"
#define IPC_RING_VERSION_MAJOR 0
#define IPC_RING_VERSION_MINOR 9
#define IPC_RING_VERSION_PATCH 0
#define IPC_RING_VERSION_NUMBER 900 /* 10000 * major + 100 * minor + patch */
#endif
