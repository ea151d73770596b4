package io.moextend.autograd;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** A part of a model: hands out its parameters, whose names are the published checkpoint's. */
public interface Module {
  /** Calls {@code visitor} once for each parameter below, always in the same order. */
  void visit(Consumer<Parameter> visitor);

  default List<Parameter> parameters() {
    var found = new ArrayList<Parameter>();
    visit(found::add);
    return found;
  }
}
