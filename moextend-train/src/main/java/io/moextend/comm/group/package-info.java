/**
 * How the ranks of a run find each other and know of each other: the words of the environment, an
 * authenticated rendezvous over TCP, and the connection over which ranks say what they wait for.
 * Needs the JDK alone, since the launcher's own process loads it and must start at once.
 */
@NullMarked
package io.moextend.comm.group;

import org.jspecify.annotations.NullMarked;
