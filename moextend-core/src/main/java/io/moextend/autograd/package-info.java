/** A tape of hand-written backward functions, and who frees what it keeps. */
@NullMarked
package io.moextend.autograd;

import org.jspecify.annotations.NullMarked;
