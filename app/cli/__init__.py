"""The command line `mdlstm`: one file a command, no widgets."""
