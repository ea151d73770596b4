package io.moextend.data.prompted;

/** Examples that can be read in any order, by any number of threads at once. */
public interface Examples extends AutoCloseable {
  int size();

  /**
   * @param index from 0
   * @throws io.moextend.data.DataException if the record is wrong; names file, record and mend
   */
  PromptedExample read(int index);

  @Override
  void close();
}
