/* systemd: what a service manager says and wants to hear, without libsystemd. See sd_notify(3)
 * and sd_listen_fds(3). Programs use it through loop.h. */
#ifndef SHARED_SYSTEMD_H
#define SHARED_SYSTEMD_H

#include "shared/base.h"

/* text: NAME=value lines. Goes to the unix socket $NOTIFY_SOCKET ('@' first: abstract); without
 * one, or if it does not take the datagram at once, nothing happens. */
void systemd_notify(const char *text);
/* How often the manager wants WATCHDOG=1 from this process; 0: not at all. */
uint64_t systemd_watchdog_us(void);
/* As loop_listen_fds(). */
size_t systemd_listen_fds(int *fds, size_t max);

#endif
