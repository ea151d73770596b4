package io.moextend.nn;

import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;

/**
 * Where a model's constructor gets its parameters from: a checkpoint, a random start, or a listing
 * of names and shapes. Whether a parameter trains is settled here, by its role.
 */
public interface ParameterFactory {
  /** How a weight starts where it was never trained. */
  enum Init {
    /** Normal with the config's initializer_range. */
    NORMAL,
    ZEROS,
    ONES
  }

  Backend backend();

  /**
   * @param name as in the published checkpoint
   */
  Parameter parameter(String name, Parameter.Role role, Init init, long... shape);

  default Parameter weight(String name, Parameter.Role role, long... shape) {
    return parameter(name, role, Init.NORMAL, shape);
  }
}
