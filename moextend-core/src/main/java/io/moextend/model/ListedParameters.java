package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.nn.ParameterFactory;
import java.util.ArrayList;
import java.util.List;

/**
 * What a model would ask for, and no memory: to count the parameters of a model of any size. What
 * is built of it cannot run.
 */
public final class ListedParameters implements ParameterFactory {
  private final Backend backend;
  private final List<Parameter> listed = new ArrayList<>();

  /**
   * @param backend that the model would be built for; holds nothing
   */
  public ListedParameters(Backend backend) {
    this.backend = backend;
  }

  @Override
  public Backend backend() {
    return backend;
  }

  @Override
  public Parameter parameter(String name, Role role, Init init, long... shape) {
    var parameter = new Parameter(name, role, new Nowhere(shape));
    listed.add(parameter);
    return parameter;
  }

  /** All that were asked for, in this order. */
  public List<Parameter> listed() {
    return List.copyOf(listed);
  }

  /** Elements of all of them. */
  public long size() {
    return listed.stream().mapToLong(Parameter::size).sum();
  }

  private static final class Nowhere extends Array {
    Nowhere(long[] shape) {
      super(DType.F32, shape, null);
    }

    @Override
    public boolean isLive() {
      return false;
    }

    @Override
    public Array reshape(long... shape) {
      return new Nowhere(shape);
    }

    @Override
    public Array slice(long from, long to) {
      long[] part = shape();
      part[0] = to - from;
      return new Nowhere(part);
    }
  }
}
