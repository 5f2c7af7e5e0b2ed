/*
 * ipc_zmq.h - channels over ZeroMQ: zmq:tcp://HOST:PORT and zmq:ipc://PATH for ipc_channel.h.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#ifndef IPC_ZMQ_H
#define IPC_ZMQ_H 1

#include "common/version.h"
#include "zmq/core.h"
#include "zmq/connect.h"
#include "zmq/listen.h"
#include "zmq/kind.h"

#endif /* IPC_ZMQ_H */
