/*
 * missing = wait: at the start, the host objects of some keys are waited for.
 *
 * In the order in which keys are made, and for all together no longer than [daemon] wait; then
 * a key that is still missing is left out until its host object comes (etfs_late.c).  Who
 * waits is told: a line every WAITING_EVERY_S, and the service manager.
 */
#ifndef RF_DAEMON_WAITING_H
#define RF_DAEMON_WAITING_H

#include <stdint.h>

#include "conf/conf.h"
#include "etfs/etfs.h"

#define WAITING_EVERY_S 5

/* Waits for the host object of the registered key ce; *left_ns is what is left of the time.
 * Nothing is mounted as yet, so a signal ends the process. */
void waiting_for(struct etfs *e, const struct conf_etfs *ce, uint64_t *left_ns);

/* eo_late: logs that a host object has come. */
void waiting_late(void *arg, const char *key, const char *host, const char *why);

#endif
