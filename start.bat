@echo off
rem Installs what is missing into .venv, then opens Apprentice. Arguments go on to app.py; "test" runs the tests.
setlocal
rem Never run a program that happens to be in the current folder.
set "NoDefaultCurrentDirectoryInExePath=1"
set "CHECK=import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
for %%P in ("py -3.12" "py -3.11" "py -3.13" "python" "python3") do (
    %%~P -I -c "%CHECK%" >nul 2>nul && (
        set "PYTHON=%%~P"
        goto :found
    )
)
echo Apprentice needs Python 3.11 to 3.13; none was found.
echo Install it from python.org and tick "Add python.exe to PATH", or run: winget install Python.Python.3.12
exit /b 1
:found
%PYTHON% "%~dp0start.py" %*
exit /b %errorlevel%
