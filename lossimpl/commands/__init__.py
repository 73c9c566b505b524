"""The commands of `lossimpl`, one file each; none imports torch before it runs."""
