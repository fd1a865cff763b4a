/* launch.h -- the names by which a program without threads starts another one */
#ifndef PRELOAD_LAUNCH_H
#define PRELOAD_LAUNCH_H

/* launch_init -- at start: later the caller may be a child that must not ask the loader.
 *
 * id  of this process, 0: ask the kernel
 */
void launch_init(int id);

#endif
