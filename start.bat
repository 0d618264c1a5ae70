@echo off
rem Installs what is missing into .venv, then opens Apprentice. Arguments go on to app.py; "test" runs the tests.
cd /d "%~dp0"
set "CHECK=import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))"
for %%P in ("py -3.12" "py -3.11" "py -3.13" "py -3.10" "python" "python3") do (
    %%~P -c "%CHECK%" >nul 2>nul && (
        %%~P start.py %*
        goto :done
    )
)
echo Apprentice needs Python 3.10 to 3.13 and found none.
echo Install it from python.org and tick "Add python.exe to PATH", or run: winget install Python.Python.3.12
exit /b 1
:done
exit /b %errorlevel%
