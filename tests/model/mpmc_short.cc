/*
 * mpmc.cc with messages of 8 bytes, each of which is sent by one compare-and-swap of 16 bytes.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#define SHORT
#include "mpmc.cc"
